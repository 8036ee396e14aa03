package tts

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"regexp"
	"testing"

	"thingpost/internal/iot"
)

var correlation = regexp.MustCompile(`"correlation_id":"[0-9a-f]{32}"`)

// TestErrorsAreThoseOfTheOtherSystem compares with measured answers.
func TestErrorsAreThoseOfTheOtherSystem(t *testing.T) {
	const ids = `value does not match regex pattern "^[a-z0-9](?:[-]?[a-z0-9]){2,}$"`
	for want, e := range map[string]*Error{
		`404 {"code":5,"message":"Not Found"}`: errNoRoute,
		`400 {"code":3,"message":"invalid character 'b' looking for beginning of object key string"}`: plain(codeInvalid,
			"invalid character 'b' looking for beginning of object key string"),
		`404 {"code":5,"message":"error:pkg/redis:not_found (entity not found)",` +
			`"details":[{"@type":"type.googleapis.com/ttn.lorawan.v3.ErrorDetails","namespace":"pkg/redis","name":"not_found",` +
			`"message_format":"entity not found","correlation_id":"","code":5}]}`: errNotFound,
		"403 {\"code\":7,\"message\":\"error:pkg/auth/rights:no_application_rights (no rights for application `app1`)\"," +
			"\"details\":[{\"@type\":\"type.googleapis.com/ttn.lorawan.v3.ErrorDetails\",\"namespace\":\"pkg/auth/rights\"," +
			"\"name\":\"no_application_rights\",\"message_format\":\"no rights for application `{uid}`\",\"attributes\":{\"uid\":\"app1\"}," +
			"\"correlation_id\":\"\",\"code\":7}]}": errNoRights.with("uid", "app1"),
		"403 {\"code\":7,\"message\":\"error:pkg/auth/rights:insufficient_application_rights (insufficient rights for application `app1`)\"," +
			"\"details\":[{\"@type\":\"type.googleapis.com/ttn.lorawan.v3.ErrorDetails\",\"namespace\":\"pkg/auth/rights\"," +
			"\"name\":\"insufficient_application_rights\",\"message_format\":\"insufficient rights for application `{uid}`\"," +
			"\"attributes\":{\"missing\":[\"RIGHT_APPLICATION_SETTINGS_BASIC\",\"RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE\"],\"uid\":\"app1\"}," +
			"\"correlation_id\":\"\",\"code\":7}]}": fewRights("app1", iot.SendDownlinks|iot.ChangeSettings),
		`400 {"code":3,"message":"error:pkg/rpcmiddleware/validator:field_mask_paths (forbidden path(s) in field mask)",` +
			`"details":[{"@type":"type.googleapis.com/ttn.lorawan.v3.ErrorDetails","namespace":"pkg/rpcmiddleware/validator",` +
			`"name":"field_mask_paths","message_format":"forbidden path(s) in field mask","attributes":{"forbidden_paths":["nope"]},` +
			`"correlation_id":"","code":3}]}`: forbiddenMask("nope"),
		"404 {\"code\":5,\"message\":\"error:pkg/applicationserver/io/web:fetch (fetching failed)\"," +
			"\"details\":[{\"@type\":\"type.googleapis.com/ttn.lorawan.v3.ErrorDetails\",\"namespace\":\"pkg/applicationserver/io/web\"," +
			"\"name\":\"fetch\",\"message_format\":\"fetching failed\",\"correlation_id\":\"\",\"cause\":{\"namespace\":\"pkg/fetch\"," +
			"\"name\":\"file_not_found\",\"message_format\":\"file `{filename}` not found\",\"attributes\":{\"filename\":\"nope.yml\"}," +
			"\"correlation_id\":\"\",\"code\":5},\"code\":5}]}": templateMissing("nope"),
		"400 {\"code\":3,\"message\":\"error:pkg/errors:validation (invalid `webhook`: embedded message failed validation)\"," +
			"\"details\":[{\"@type\":\"type.googleapis.com/ttn.lorawan.v3.ErrorDetails\",\"namespace\":\"pkg/errors\",\"name\":\"validation\"," +
			"\"message_format\":\"invalid `{field}`: {reason}\",\"attributes\":{\"field\":\"webhook\"," +
			"\"name\":\"SetApplicationWebhookRequestValidationError\",\"reason\":\"embedded message failed validation\"},\"correlation_id\":\"\"," +
			"\"cause\":{\"namespace\":\"pkg/errors\",\"name\":\"validation\",\"message_format\":\"invalid `{field}`: {reason}\"," +
			"\"attributes\":{\"field\":\"ids\",\"name\":\"ApplicationWebhookValidationError\",\"reason\":\"embedded message failed validation\"}," +
			"\"correlation_id\":\"\",\"cause\":{\"namespace\":\"pkg/errors\",\"name\":\"validation\",\"message_format\":\"invalid `{field}`: " +
			"{reason}\",\"attributes\":{\"field\":\"webhook_id\",\"name\":\"ApplicationWebhookIdentifiersValidationError\",\"reason\":\"value " +
			"does not match regex pattern \\\"^[a-z0-9](?:[-]?[a-z0-9]){2,}$\\\"\"},\"correlation_id\":\"\",\"code\":3}," +
			"\"code\":3},\"code\":3}]}": invalidField("webhook", "SetApplicationWebhookRequest", embedded,
			invalidField("ids", "ApplicationWebhook", embedded, invalidField("webhook_id", "ApplicationWebhookIdentifiers", ids, nil))),
	} {
		w := httptest.NewRecorder()
		writeError(w, e, false)
		got := correlation.ReplaceAllString(w.Body.String(), `"correlation_id":""`)
		if got = w.Result().Status[:4] + got; got != want+"\n" {
			t.Errorf("answered\n%swant\n%s", got, want)
		}
	}
}

func TestOurErrorsHaveTheirCodes(t *testing.T) {
	for code, want := range map[iot.Code]int{iot.Invalid: 400, iot.Unauthorized: 401, iot.Forbidden: 403, iot.NotFound: 404, iot.Conflict: 409,
		iot.LimitReached: 400,
		iot.TooLarge:     400, iot.UnsupportedMediaType: 400, iot.RateLimited: 429, iot.Internal: 500, iot.Unavailable: 503,
		iot.StorageFull: 503} {
		if got := httpStatus(errorOf(iot.NewError(code, "Something.")).Code); got != want {
			t.Errorf("%s is answered with %d, want %d", code, got, want)
		}
	}
	e := errorOf(errors.New("a secret of the house"))
	if b, err := json.Marshal(e.status()); err != nil || regexp.MustCompile("secret").Match(b) || e.Code != codeInternal {
		t.Errorf("%s %v", b, err)
	}
	e = errorOf(iot.FieldError("f_port", "must be 1 to 255."))
	if e.Attributes["field"] != "f_port" || httpStatus(e.Code) != 400 {
		t.Errorf("%+v", e)
	}
	for code, want := range map[uint32]int{codeCanceled: 499, codeUnimplemented: 501, codeExists: 409, 2: 500} {
		if got := httpStatus(code); got != want {
			t.Errorf("%d is answered with %d, want %d", code, got, want)
		}
	}
}

// A cause that is only a text is sent as such, without an empty name.
func TestCauseThatIsAText(t *testing.T) {
	e := &Error{Code: codeInvalid, Namespace: "here", Name: "decode_body", Format: "decode body", Cause: plain(codeInvalid, "unexpected end")}
	b, err := json.Marshal(e.status())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"code":3,"message":"error:here:decode_body (decode body)",` +
		`"details":[{"@type":"type.googleapis.com/ttn.lorawan.v3.ErrorDetails","namespace":"here","name":"decode_body",` +
		`"message_format":"decode body","correlation_id":"","cause":{"message_format":"unexpected end","correlation_id":"","code":3},"code":3}]}`
	if got := correlation.ReplaceAllString(string(b), `"correlation_id":""`); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
