package tts_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"thingpost/db"
	"thingpost/handlers/tts"
	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
	"thingpost/internal/lorawan/wire"
)

// dial returns a connection to the services over the world's store.
func (w *world) dial(o tts.Options) *grpc.ClientConn {
	w.Helper()
	l := bufconn.Listen(1 << 20)
	server := tts.NewGRPC(o, nil)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///here", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	w.must(err)
	w.Cleanup(func() {
		w.must(conn.Close())
		server.Stop()
		w.must(<-served)
	})
	return conn
}

func (w *world) as(key string) context.Context {
	return metadata.AppendToOutgoingContext(w.Context(), "authorization", key)
}

// read fills in a message from the text form of the measured calls.
func read[M proto.Message](t *testing.T, text string, m M) M {
	t.Helper()
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func sameJSON(t *testing.T, what string, m proto.Message, want string) {
	t.Helper()
	b, err := lorawan.AppendJSON(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := meaning(t, string(b)), meaning(t, want); !equal(got, want) {
		t.Errorf("%s answers %s, want %s", what, b, want)
	}
}

const everyPath = `paths:"base_url" paths:"headers" paths:"format" paths:"template_ids" paths:"template_ids.template_id" ` +
	`paths:"template_fields" paths:"downlink_api_key" paths:"uplink_message" paths:"uplink_message.path" paths:"uplink_normalized" ` +
	`paths:"uplink_normalized.path" paths:"join_accept" paths:"join_accept.path" paths:"downlink_ack" paths:"downlink_ack.path" ` +
	`paths:"downlink_nack" paths:"downlink_nack.path" paths:"downlink_sent" paths:"downlink_sent.path" paths:"downlink_failed" ` +
	`paths:"downlink_failed.path" paths:"downlink_queued" paths:"downlink_queued.path" paths:"downlink_queue_invalidated" ` +
	`paths:"downlink_queue_invalidated.path" paths:"location_solved" paths:"location_solved.path" paths:"service_data" ` +
	`paths:"service_data.path" paths:"health_status" paths:"health_status.status.healthy" paths:"health_status.status.unhealthy" ` +
	`paths:"health_status.status.unhealthy.failed_attempts" paths:"health_status.status.unhealthy.last_failed_attempt_at" ` +
	`paths:"health_status.status.unhealthy.last_failed_attempt_details" paths:"field_mask" paths:"paused"`

// TestMeasuredCalls makes the calls of The Things Stack's own client, in its order.
func TestMeasuredCalls(t *testing.T) {
	w := newWorld(t)
	w.must(w.db.DeleteWebhook(w.webhook, actor))
	conn := w.dial(w.options)
	ctx := w.as(strings.Replace(w.full, "Bearer", "bearer", 1))
	hooks, keys, as := wire.NewApplicationWebhookRegistryClient(conn), wire.NewApplicationAccessClient(conn), wire.NewAppAsClient(conn)

	formats, err := hooks.GetFormats(ctx, &emptypb.Empty{})
	w.must(err)
	sameJSON(t, "GetFormats", formats, `{"formats":{"json":"JSON","protobuf":"Protocol Buffers"}}`)

	const whole = `{"ids":{"application_ids":{"application_id":"app1"},"webhook_id":"wh1"},"base_url":"https://app.example.com/lorahooks",` +
		`"headers":{"X-A":"1"},"format":"json","uplink_message":{"path":"/up"},"join_accept":{"path":"/join"}}`
	hook, err := hooks.Set(ctx, read(t, `webhook:{ids:{application_ids:{application_id:"app1"} webhook_id:"wh1"} `+
		`base_url:"https://app.example.com/lorahooks" headers:{key:"X-A" value:"1"} format:"json" uplink_message:{path:"/up"} `+
		`join_accept:{path:"/join"}} field_mask:{paths:"ids.application_ids.application_id" paths:"ids.webhook_id" paths:"base_url" `+
		`paths:"headers" paths:"format" paths:"uplink_message.path" paths:"join_accept.path"}`, &wire.SetApplicationWebhookRequest{}))
	w.must(err)
	sameJSON(t, "Set", hook, whole)
	get := read(t, `ids:{application_ids:{application_id:"app1"} webhook_id:"wh1"} field_mask:{`+everyPath+`}`,
		&wire.GetApplicationWebhookRequest{})
	hook, err = hooks.Get(ctx, get)
	w.must(err)
	sameJSON(t, "Get", hook, whole)
	all, err := hooks.List(ctx, read(t, `application_ids:{application_id:"app1"} field_mask:{paths:"headers" paths:"paused"}`,
		&wire.ListApplicationWebhooksRequest{}))
	w.must(err)
	sameJSON(t, "List", all, `{"webhooks":[{"ids":{"application_ids":{"application_id":"app1"},"webhook_id":"wh1"},`+
		`"base_url":"https://app.example.com/lorahooks","headers":{"X-A":"1"},"format":"json"}]}`)

	key, err := keys.CreateAPIKey(ctx, read(t, `application_ids:{application_id:"app1"} name:"wh-client" `+
		`rights:RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE`, &wire.CreateApplicationAPIKeyRequest{}))
	w.must(err)
	if len(key.GetKey()) != 98 || !strings.HasPrefix(key.GetKey(), "NNSXS."+key.GetId()+".") {
		t.Errorf("the key is %q", key.GetKey())
	}
	sameJSON(t, "CreateAPIKey", key, `{"name":"wh-client","rights":["RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"]}`)

	device := `device_id:"dev1" application_ids:{application_id:"app1"}`
	_, err = as.DownlinkQueuePush(ctx, read(t, `end_device_ids:{`+device+`} downlinks:{f_port:15 frm_payload:"\xbe\xef" priority:NORMAL}`,
		&wire.DownlinkQueueRequest{}))
	w.must(err)
	queued, err := as.DownlinkQueueList(ctx, read(t, device, &wire.EndDeviceIdentifiers{}))
	w.must(err)
	for _, v := range queued.GetDownlinks() {
		v.CorrelationIds = nil
	}
	sameJSON(t, "DownlinkQueueList", queued, `{"downlinks":[{"f_port":15,"frm_payload":"vu8=","priority":"NORMAL"}]}`)
	_, err = as.DownlinkQueueReplace(ctx, read(t, `end_device_ids:{`+device+`}`, &wire.DownlinkQueueRequest{}))
	w.must(err)
	if queued, err = as.DownlinkQueueList(ctx, read(t, device, &wire.EndDeviceIdentifiers{})); err != nil || len(queued.GetDownlinks()) != 0 {
		t.Errorf("%v are queued after they were cleared, %v", queued, err)
	}

	_, err = hooks.Delete(ctx, read(t, `application_ids:{application_id:"app1"} webhook_id:"wh1"`, &wire.ApplicationWebhookIdentifiers{}))
	w.must(err)
	_, err = hooks.Get(ctx, get)
	st := status.Convert(err)
	if st.Code() != codes.NotFound || st.Message() != "error:pkg/redis:not_found (entity not found)" || len(st.Details()) != 1 {
		t.Fatalf("a webhook that is gone: %v with %v", st, st.Details())
	}
	if d, ok := st.Details()[0].(*wire.ErrorDetails); !ok || d.GetNamespace() != "pkg/redis" || d.GetName() != "not_found" ||
		len(d.GetCorrelationId()) != 32 {
		t.Errorf("its details: %v", st.Details())
	}
}

func TestGRPCRefusesLikeREST(t *testing.T) {
	w := newWorld(t)
	hooks := wire.NewApplicationWebhookRegistryClient(w.dial(w.options))
	get := read(t, `ids:{application_ids:{application_id:"app1"} webhook_id:"wh1"}`, &wire.GetApplicationWebhookRequest{})
	for _, c := range []struct {
		key  string
		code codes.Code
	}{{"", codes.PermissionDenied}, {"Basic x", codes.Unauthenticated}, {"Bearer nonsense", codes.InvalidArgument},
		{w.key(iot.SendMessages), codes.PermissionDenied}, {w.key(iot.ReadTraffic), codes.OK}} {
		ctx := w.Context()
		if c.key != "" {
			ctx = w.as(c.key)
		}
		if _, err := hooks.Get(ctx, get); status.Code(err) != c.code {
			t.Errorf("with %q: %v, want %v", c.key, err, c.code)
		}
	}
}

// TestAKeyChangesNoStrongerOne tests both doors, which call the same method.
func TestAKeyChangesNoStrongerOne(t *testing.T) {
	w := newWorld(t)
	keys := wire.NewApplicationAccessClient(w.dial(w.options))
	app := &wire.ApplicationIdentifiers{ApplicationId: "app1"}
	strong, err := keys.CreateAPIKey(w.as(w.full), &wire.CreateApplicationAPIKeyRequest{ApplicationIds: app, Name: "strong",
		Rights: []wire.Right{wire.Right_RIGHT_APPLICATION_TRAFFIC_READ}, ExpiresAt: timestamppb.New(w.options.Now().Add(time.Hour))})
	w.must(err)
	weak := w.as(w.key(iot.ManageKeys))
	change := func(ctx context.Context, k *wire.APIKey, paths ...string) error {
		k.Id = strong.GetId()
		_, err := keys.UpdateAPIKey(ctx, &wire.UpdateApplicationAPIKeyRequest{ApplicationIds: app, ApiKey: k,
			FieldMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return err
	}
	for name, err := range map[string]error{
		"rename":  change(weak, &wire.APIKey{Name: "mine"}, "name"),
		"prolong": change(weak, &wire.APIKey{}, "expires_at"),
		"take over": change(weak, &wire.APIKey{Name: "mine", Rights: []wire.Right{wire.Right_RIGHT_APPLICATION_SETTINGS_API_KEYS}},
			"name", "rights", "expires_at"),
	} {
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
	have, err := keys.GetAPIKey(w.as(w.full), &wire.GetApplicationAPIKeyRequest{ApplicationIds: app, KeyId: strong.GetId()})
	w.must(err)
	if have.GetName() != "strong" || have.GetExpiresAt() == nil {
		t.Errorf("it became %v", have)
	}
	w.must(change(w.as(w.key(iot.ManageKeys|iot.ReadTraffic)), &wire.APIKey{Name: "shared"}, "name"))
	w.must(change(weak, &wire.APIKey{}, "rights")) // to none: that revokes it
}

// hub is a hub with one subscriber, which gets events at once.
type hub chan iot.EventName

func (h hub) Subscribe(int64) (<-chan iot.EventName, func()) { return h, func() {} }

func TestSubscribeSendsWhatComes(t *testing.T) {
	w := newWorld(t)
	events := make(hub, 1)
	o := w.options
	o.Hub = events
	ctx, cancel := context.WithTimeout(w.as(w.key(iot.ReadTraffic|iot.SendDownlinks)), time.Minute)
	defer cancel()
	as := wire.NewAppAsClient(w.dial(o))
	ids := &wire.ApplicationIdentifiers{ApplicationId: "app1"}
	stream, err := as.Subscribe(ctx, ids)
	w.must(err)
	events <- iot.MessagesChanged // taken once it listens
	events <- iot.DeliveriesChanged
	_, err = as.DownlinkQueuePush(ctx, read(t, `end_device_ids:{device_id:"dev1" application_ids:{application_id:"app1"}} `+
		`downlinks:{f_port:1 frm_payload:"\x01"}`, &wire.DownlinkQueueRequest{}))
	w.must(err)
	events <- iot.MessagesChanged
	up, err := stream.Recv()
	if err != nil || up.GetDownlinkQueued().GetFPort() != 1 || up.GetEndDeviceIds().GetDeviceId() != "dev1" {
		t.Errorf("received %v, %v", up, err)
	}
	close(events)
	if _, err = stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("when the hub has closed: %v", err)
	}
}

// TestSubscriptionOutlivesNoKey revokes the key of an open stream.
func TestSubscriptionOutlivesNoKey(t *testing.T) {
	w := newWorld(t)
	events := make(hub, 1)
	o := w.options
	o.Hub = events
	key := w.key(iot.ReadTraffic)
	ctx, cancel := context.WithTimeout(w.as(key), time.Minute)
	defer cancel()
	stream, err := wire.NewAppAsClient(w.dial(o)).Subscribe(ctx, &wire.ApplicationIdentifiers{ApplicationId: "app1"})
	w.must(err)
	events <- iot.MessagesChanged // taken once it listens
	events <- iot.DeliveriesChanged
	id, _, _ := iot.ParseAPIKey(strings.TrimPrefix(key, "Bearer "))
	w.must(w.db.DeleteAPIKey(w.project.Key, id, actor))
	w.call("POST", queue+"/push", w.full, `{"downlinks":[{"f_port":1}]}`, 200, "{")
	events <- iot.MessagesChanged
	if up, err := stream.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("after its key was revoked: %v, %v", up, err)
	}
}

// TestSubscribeMissesNoneThatIsLate stores a message after another with a greater id,
// and one that cannot be read.
func TestSubscribeMissesNoneThatIsLate(t *testing.T) {
	w := newWorld(t)
	events := make(hub, 1)
	o := w.options
	o.Hub = events
	ctx, cancel := context.WithTimeout(w.as(w.key(iot.ReadTraffic)), time.Minute)
	defer cancel()
	stream, err := wire.NewAppAsClient(w.dial(o)).Subscribe(ctx, &wire.ApplicationIdentifiers{ApplicationId: "app1"})
	w.must(err)
	events <- iot.MessagesChanged // taken once it listens
	events <- iot.DeliveriesChanged
	early, broken, late := w.db.NewID(), w.db.NewID(), w.db.NewID()
	store := func(id iot.ID, payload string) {
		t.Helper()
		v, err := w.db.ProjectSettings(t.Context(), w.project.Key)
		w.must(err)
		w.must(w.db.Accept(&db.Accept{Project: w.project, Device: w.device, Version: v.Version,
			Message: &iot.Message{ID: id, ProjectKey: w.project.Key,
				DeviceKey: w.device.Key, Device: w.device.ID, Type: iot.UplinkMessage, Payload: []byte(payload), ReceivedAt: iot.At(o.Now())}}))
		events <- iot.MessagesChanged
	}
	receive := func(port uint32) {
		t.Helper()
		up, err := stream.Recv()
		if err != nil || up.GetUplinkMessage().GetFPort() != port {
			t.Fatalf("received %v, %v; want port %d", up, err, port)
		}
	}
	store(late, `{"uplink_message":{"f_port":2}}`)
	receive(2)
	store(broken, `{"uplink_message":{"f_port":"x"}}`)
	store(early, `{"uplink_message":{"f_port":1}}`)
	receive(1)
	cancel()
	if up, err := stream.Recv(); err == nil {
		t.Errorf("received %v once more", up)
	}
}

func TestSecretFieldsOfATemplateAreNotShown(t *testing.T) {
	w := newWorld(t)
	const secret = "datacake-token-4471"
	hooks, ctx := wire.NewApplicationWebhookRegistryClient(w.dial(w.options)), w.as(w.full)
	set := func(token string) *wire.ApplicationWebhook {
		t.Helper()
		hook, err := hooks.Set(ctx, read(t, `webhook:{ids:{application_ids:{application_id:"app1"} webhook_id:"wh2"} `+
			`base_url:"https://app.example.com" format:"json"
			template_ids:{template_id:"datacake"} template_fields:{key:"token" value:"`+token+`"}}
			field_mask:{paths:"base_url" paths:"format" paths:"template_ids" paths:"template_fields"}`, &wire.SetApplicationWebhookRequest{}))
		w.must(err)
		return hook
	}
	for _, token := range []string{secret, iot.Mask} {
		if got := set(token).GetTemplateFields()["token"]; got != iot.Mask {
			t.Errorf("it shows %q", got)
		}
	}
	h, err := w.db.Webhook(t.Context(), w.project.Key, "wh2")
	w.must(err)
	if v := h.TemplateFields["token"]; !v.Secret || v.Value.Reveal() != secret {
		t.Errorf("it is stored as %q, secret %v", v.Value.Reveal(), v.Secret)
	}
}
