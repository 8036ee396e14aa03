package db_test

import (
	"testing"
	"unicode/utf8"

	"thingpost/internal/iot"
)

// A message that was stored with bytes other than UTF-8 is sent as UTF-8.
func TestDueMessagesAreUTF8(t *testing.T) {
	w := open(t)
	must(t, w.Accept(w.accepted(w.version(t), "\"gr\xfcn\"", w.webhook)))
	list, _, err := w.Due(t.Context(), w.webhook.Key, 0, 1_800_000_000_000, 10, 1<<20, func(iot.ID) bool { return false })
	must(t, err)
	if len(list) != 1 || !utf8.Valid(list[0].Message.Payload) || string(list[0].Message.Payload) != "\"gr\ufffdn\"" ||
		!list[0].Message.InvalidUTF8 {
		t.Errorf("%+v", list)
	}
}
