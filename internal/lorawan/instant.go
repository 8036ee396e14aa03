package lorawan

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Bounds of Protocol Buffers' durations: 10,000 years.
const maxSeconds = 315_576_000_000

var (
	errTimestamp = errors.New("is no instant in the years 1 to 9999")
	errDuration  = errors.New("is no duration of up to 10,000 years")
)

// appendTimestamp appends RFC 3339 in UTC with no, three, six or nine decimals.
func appendTimestamp(b []byte, m protoreflect.Message) ([]byte, error) {
	t, ok := m.Interface().(*timestamppb.Timestamp)
	if !ok {
		return b, errKind
	}
	if t.CheckValid() != nil {
		return b, errTimestamp
	}
	b = t.AsTime().AppendFormat(append(b, '"'), "2006-01-02T15:04:05")
	b = appendDecimals(b, t.GetNanos())
	return append(b, `Z"`...), nil
}

// appendDuration appends seconds with no, three, six or nine decimals.
func appendDuration(b []byte, m protoreflect.Message) ([]byte, error) {
	d, ok := m.Interface().(*durationpb.Duration)
	if !ok {
		return b, errKind
	}
	if d.CheckValid() != nil {
		return b, errDuration
	}
	seconds, nanos := d.GetSeconds(), d.GetNanos()
	b = append(b, '"')
	if seconds < 0 || nanos < 0 {
		seconds, nanos = -seconds, -nanos
		b = append(b, '-')
	}
	b = appendDecimals(strconv.AppendInt(b, seconds, 10), nanos)
	return append(b, `s"`...), nil
}

func appendDecimals(b []byte, nanos int32) []byte {
	if nanos == 0 {
		return b
	}
	digits := strconv.Itoa(1_000_000_000 + int(nanos))[1:]
	digits = strings.TrimSuffix(strings.TrimSuffix(digits, "000"), "000")
	return append(append(b, '.'), digits...)
}

func parseTimestamp(s string, m protoreflect.Message) error {
	into, ok := m.Interface().(*timestamppb.Timestamp)
	if !ok {
		return errKind
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return errTimestamp
	}
	t := timestamppb.New(at)
	if t.CheckValid() != nil {
		return errTimestamp
	}
	into.Seconds, into.Nanos = t.GetSeconds(), t.GetNanos()
	return nil
}

func parseDuration(s string, m protoreflect.Message) error {
	into, ok := m.Interface().(*durationpb.Duration)
	if !ok {
		return errKind
	}
	number, ok := strings.CutSuffix(s, "s")
	positive, negative := strings.CutPrefix(number, "-")
	whole, decimals, _ := strings.Cut(positive, ".")
	seconds, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || !ok || seconds > maxSeconds || len(decimals) > 9 {
		return errDuration
	}
	nanos, err := strconv.ParseUint((decimals + "000000000")[:9], 10, 31)
	if err != nil {
		return errDuration
	}
	into.Seconds, into.Nanos = int64(seconds), int32(nanos)
	if negative {
		into.Seconds, into.Nanos = -into.Seconds, -into.Nanos
	}
	if into.CheckValid() != nil {
		return errDuration
	}
	return nil
}
