package downlink_test

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"thingpost/internal/downlink"
	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// forwarding is a world whose device has an upstream.
func forwarding(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.must(w.db.SetUpstream(w.project, nil, iot.Upstream{URL: "https://tts.example/api/v3/as/applications/app1", Key: "NNSXS.A"}, actor))
	return w
}

// TestAnUpstreamJudgesWhatGoesOnToIt pushes what our own queue refuses: it is forwarded
// with every member.
func TestAnUpstreamJudgesWhatGoesOnToIt(t *testing.T) {
	for came, want := range map[string]string{
		`{"decoded_payload":{"valve":"open"}}`: `{"decoded_payload":{"valve":"open"},`,
		`{"f_port":0,"frm_payload":"AQ=="}`:    `{"f_port":0,"frm_payload":"AQ==",`,
		` {"f_port": 224 } `:                   `{"f_port":224,`,
		`{"f_port":300,"next":{"year":[1.0]},"session_key_id":"AQ==","f_cnt":7}`: `{"f_port":300,"next":{"year":[1.0]},` +
			`"session_key_id":"AQ==","f_cnt":7,`,
		`{"fPort":1,"frmPayload":"` + strings.Repeat("AAAA", 86) + `"}`: `{"f_port":1,"frm_payload":"` +
			strings.Repeat("AAAA", 86) + `",`,
		`{"confirmed":true,"confirmed_retry":{"max_attempts":101,"attempt":3}}`: `{"confirmed":true,` +
			`"confirmed_retry":{"max_attempts":101,"attempt":3},`,
		`{"class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"No Good"},"antenna":1}]}}`: `{` +
			`"class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"No Good"},"antenna":1}]},`,
		`{"correlation_ids":["` + strings.Repeat("x", 101) + `"],"id":"theirs"}`: `{"id":"theirs",`,
		`{"payload":[1],"correlation_ids":null}`:                                 `{`,
		`{}`:                                                                     `{`,
	} {
		w := forwarding(t)
		list, err := w.queues.Push(t.Context(), w.project, w.device, downlink.Forward([]json.RawMessage{json.RawMessage(came)}), false)
		if err != nil || len(list) != 1 || list[0].Status != iot.DownlinkIsForwarded {
			t.Errorf("%s: %+v %v", came, list, err)
			continue
		}
		ids := `"as:downlink:` + list[0].ID.String() + `"]`
		want += `"correlation_ids":[`
		if strings.Contains(came, "xxx") {
			want += `"` + strings.Repeat("x", 101) + `",`
		}
		want += ids
		if strings.Contains(came, "payload\":[1]") {
			want += `,"decoded_payload":{"value":[1]}`
		}
		want += "}"
		_, payloads := w.reported()
		if len(payloads) == 0 || !strings.HasSuffix(payloads[0], `"downlink_queued":`+want+`}`) {
			t.Errorf("%s goes on as\n%s, want\n%s", came, payloads, want)
		}
		answer, err := json.Marshal(list[0])
		var v struct{ ID, Status string }
		w.must(err)
		if w.must(json.Unmarshal(answer, &v)); v.ID != list[0].ID.String() || v.Status != "forwarded" ||
			strings.Count(string(answer), `"id":`) != 1 {
			t.Errorf("%s is answered as %s", came, answer)
		}
	}
	w := forwarding(t)
	w.push(false, downlink.Order{DecodedPayload: json.RawMessage(`{"a":1}`)}) // of a form or a command: our rules do not apply either
	if _, payloads := w.reported(); len(payloads) == 0 || !strings.Contains(payloads[0], `"decoded_payload":{"a":1}`) {
		t.Errorf("goes on as %s", payloads)
	}
}

func TestWhatGoesOnHasTheFormOfADownlink(t *testing.T) {
	w := forwarding(t)
	for came, field := range map[string]string{
		`5`: "", `[]`: "", `null`: "", `"x"`: "", `{`: "",
		`{"f_port":-1}`:                                            "f_port",
		`{"f_port":"port"}`:                                        "f_port",
		`{"decoded_payload":[1]}`:                                  "decoded_payload",
		`{"frm_payload":"?"}`:                                      "frm_payload",
		`{"priority":"URGENT"}`:                                    "priority",
		`{"class_b_c":{"gateways":[{"a":1},5]}}`:                   "class_b_c.gateways[1]",
		`{"payload":1,"frm_payload":"AQ=="}`:                       "payload",
		`{"x":"` + strings.Repeat("x", 129<<10) + `"}`:             "",
		`{"payload":{"x":"` + strings.Repeat("x", 129<<10) + `"}}`: "",
	} {
		_, err := w.queues.Push(t.Context(), w.project, w.device, downlink.Forward([]json.RawMessage{json.RawMessage(came)}), false)
		e, ok := err.(*iot.Error) //nolint:errorlint // not wrapped
		if !ok || e.Code != iot.Invalid || field != "" && e.Fields[field] == "" {
			t.Errorf("%.60s: %v, want a fault of %q", came, err, field)
		}
	}
	if types, _ := w.reported(); len(types) != 0 {
		t.Errorf("refused ones made %v", types)
	}
	w = newWorld(t)
	if _, err := w.queues.Push(t.Context(), w.project, w.device, downlink.Forward([]json.RawMessage{json.RawMessage(`{"f_port":1}`)}),
		false); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("without an upstream: %v", err)
	}
}

func TestForwardedProtocolBuffersKeepWhatTheSchemaKnows(t *testing.T) {
	v := &wire.ApplicationDownlink{FCnt: 7, SessionKeyId: []byte{1}, FrmPayload: []byte{2}}
	v.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 200, protowire.VarintType), 1))
	orders, err := downlink.ForwardWire([]*wire.ApplicationDownlink{v})
	if err != nil || string(orders[0].Came) != `{"session_key_id":"AQ==","f_cnt":7,"frm_payload":"Ag=="}` {
		t.Errorf("%s %v", orders[0].Came, err)
	}
}
