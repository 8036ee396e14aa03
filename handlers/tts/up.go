package tts

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/emptypb"

	"thingpost/handlers"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
	"thingpost/internal/lorawan/wire"
)

// InletPrefix is the path to which a webhook of The Things Stack posts. A project's
// slug or UUID follows, and then any path.
const InletPrefix = "/in/tts/"

// inlet accepts messages from a webhook of The Things Stack. Its answers are those of
// the native API: that system reads only the status, and people read the words.
type inlet struct{ *server }

// NewInlet returns a handler of all paths below /in. It is safe for concurrent use.
func NewInlet(o Options) http.Handler {
	n := &inlet{newServer(o)}
	return handlers.JSON(n.receive, n.Log)
}

// receive accepts one ApplicationUp, and answers when it is on disk.
func (n *inlet) receive(w http.ResponseWriter, r *http.Request) error {
	rest, ok := strings.CutPrefix(r.URL.Path, InletPrefix)
	project, _, _ := strings.Cut(rest, "/")
	if !ok || project == "" {
		return iot.NewError(iot.NotFound, "Unknown path. A webhook of The Things Stack must post to "+InletPrefix+" and a project's id.")
	}
	if r.Method != http.MethodPost {
		return onlyPost(w, r)
	}
	s, key, err := n.sender(r, project)
	if err != nil {
		return err
	}
	handlers.Share(r, s.Project)
	body, err := handlers.ReadBody(r, iot.MaxMessageBytes)
	if err != nil {
		return err
	}
	var id iot.ID
	if isBinary(r.Header.Get("Content-Type")) {
		id, err = n.Ingest.AcceptProtobuf(r.Context(), s, body)
	} else {
		id, err = n.Ingest.AcceptUp(r.Context(), s, body)
	}
	if err != nil {
		return err
	}
	answer := `{"id":"` + id.String() + `"`
	if warning := learnUpstream(r, n.Downlinks, s.Project, key, n.Log); warning != "" {
		answer += `,"warning":` + strconv.Quote(warning)
	}
	handlers.WriteJSONBytes(w, http.StatusAccepted, []byte(answer+"}\n"))
	return nil
}

// onlyPost answers methods other than POST.
func onlyPost(w http.ResponseWriter, r *http.Request) error {
	return handlers.NoMethod(w, r, http.MethodPost)
}

// sender returns the sender and its key. The only valid key is an API key of the
// project.
func (n *inlet) sender(r *http.Request, project string) (ingest.Sender, *iot.APIKey, error) {
	const how = "Add the header Authorization: Bearer NNSXS.… with an API key of the project to the webhook."
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	text = strings.TrimSpace(text)
	if !strings.EqualFold(scheme, "Bearer") || text == "" {
		return ingest.Sender{}, nil, iot.NewError(iot.Unauthorized, "There is no API key. "+how)
	}
	if _, _, ok := iot.ParseAPIKey(text); !ok {
		return ingest.Sender{}, nil, iot.NewError(iot.Unauthorized, "This is not an API key of a project. People's tokens and devices' keys "+
			"cannot send here. "+how)
	}
	key, p, err := n.Ingest.APIKey(r.Context(), iot.Secret(text))
	switch {
	case err != nil:
		return ingest.Sender{}, nil, err
	case project != p.ID && !strings.EqualFold(project, p.UUID):
		return ingest.Sender{}, nil, iot.NewError(iot.NotFound, "There is no such project.")
	case key.Rights&iot.SendMessages == 0:
		return ingest.Sender{}, nil,
			iot.NewError(iot.Forbidden, "This needs the right "+strings.Join(iot.SendMessages.Names(), "")+", which this API key does not have.")
	}
	return senderOf(p, key), key, nil
}

func senderOf(p *iot.Project, key *iot.APIKey) ingest.Sender {
	return ingest.Sender{Project: p, Register: true, Actor: key.Name}
}

// isBinary reports whether a body is in Protocol Buffers, by its content type.
func isBinary(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "application/octet-stream", "application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf":
		return true
	}
	return false
}

// upRoutes are simulated messages.
func upRoutes() []route {
	return []route{{method: http.MethodPost, pattern: "/as/applications/{application}/devices/{device}/up/simulate",
		handle: (*server).simulate}}
}

// simulate accepts an ApplicationUp as JSON and keeps all of it. The path names the
// device.
func (s *server) simulate(w http.ResponseWriter, r *http.Request) error {
	ids := &wire.EndDeviceIdentifiers{DeviceId: r.PathValue("device"),
		ApplicationIds: &wire.ApplicationIdentifiers{ApplicationId: r.PathValue("application")}}
	from, err := s.simulator(r.Context(), ids)
	if err != nil {
		return err
	}
	handlers.Share(r, from.Project)
	body, err := readBody(r)
	if err != nil {
		return err
	}
	var up wire.ApplicationUp
	if err := parseJSON(body, &up); err != nil {
		return err
	}
	if err := s.simulateUp(r.Context(), from, &up, body); err != nil {
		return err
	}
	writeJSON(w, []byte("{}"))
	return nil
}

// SimulateUplink stores a message that a program made. As in The Things Stack an uplink
// needs its settings. The REST path lets people who write one by hand leave them out.
func (s appAs) SimulateUplink(ctx context.Context, up *wire.ApplicationUp) (*emptypb.Empty, error) {
	from, err := s.simulator(ctx, up.GetEndDeviceIds())
	if err != nil {
		return nil, err
	}
	if u := up.GetUplinkMessage(); u != nil && u.GetSettings() == nil {
		return nil, invalidField("uplink_message", "ApplicationUp", embedded, invalidField("settings", "ApplicationUplink", "value is required",
			nil))
	}
	text, err := lorawan.AppendJSON(nil, up)
	if err != nil {
		return nil, plain(codeInvalid, err.Error())
	}
	if err := s.simulateUp(ctx, from, up, text); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// simulator returns the caller as the sender of a device's message.
func (s *server) simulator(ctx context.Context, ids *wire.EndDeviceIdentifiers) (ingest.Sender, error) {
	if e := checkDeviceIDs(ids); e != nil {
		return ingest.Sender{}, invalidField("end_device_ids", "ApplicationUp", embedded, e)
	}
	p, key, err := s.application(ctx, ids.GetApplicationIds().GetApplicationId(), iot.SendMessages)
	if err != nil {
		return ingest.Sender{}, err
	}
	from := senderOf(p, key)
	from.Name = ids.GetDeviceId()
	return from, nil
}

func (s *server) simulateUp(ctx context.Context, from ingest.Sender, up *wire.ApplicationUp, text []byte) error {
	if _, ok := lorawan.Type(up); !ok {
		return invalidField("up", "ApplicationUp", "value is required", nil)
	}
	_, err := s.Ingest.Simulate(ctx, from, text)
	if e, ok := errors.AsType[*iot.Error](err); ok && (e.Code == iot.NotFound || e.Fields["end_device_ids.device_id"] != "") {
		return noDevice(from.Project, from.Name)
	}
	return err
}
