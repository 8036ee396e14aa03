package tts

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
	"thingpost/internal/lorawan/wire"
)

// appAs is the service AppAs: the queues of devices, and messages.
type appAs struct {
	wire.UnimplementedAppAsServer
	*server
}

func (s appAs) DownlinkQueuePush(ctx context.Context, q *wire.DownlinkQueueRequest) (*emptypb.Empty, error) {
	return s.changeQueue(ctx, q, false)
}

func (s appAs) DownlinkQueueReplace(ctx context.Context, q *wire.DownlinkQueueRequest) (*emptypb.Empty, error) {
	return s.changeQueue(ctx, q, true)
}

func (s appAs) changeQueue(ctx context.Context, q *wire.DownlinkQueueRequest, replace bool) (*emptypb.Empty, error) {
	ids := q.GetEndDeviceIds()
	if e := checkDeviceIDs(ids); e != nil {
		return nil, invalidField("end_device_ids", "DownlinkQueueRequest", embedded, e)
	}
	list := downlinks{q.GetDownlinks(), callOf(ctx).body, checkDownlinks("DownlinkQueueRequest", q.GetDownlinks())}
	p, _, err := s.application(ctx, ids.GetApplicationIds().GetApplicationId(), iot.SendDownlinks)
	if err != nil && list.fault != nil {
		return nil, list.fault // as in The Things Stack, form is checked before rights
	}
	if err != nil {
		return nil, err
	}
	if err := s.push(ctx, p, ids.GetDeviceId(), list, replace); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

func (s appAs) DownlinkQueueList(ctx context.Context, ids *wire.EndDeviceIdentifiers) (*wire.ApplicationDownlinks, error) {
	if e := checkDeviceIDs(ids); e != nil {
		return nil, e
	}
	p, _, err := s.application(ctx, ids.GetApplicationIds().GetApplicationId(), iot.ReadTraffic)
	if err != nil {
		return nil, err
	}
	d, err := s.device(ctx, p, ids.GetDeviceId())
	if err != nil {
		return nil, err
	}
	page, err := s.DB.Downlinks(ctx, d, db.DownlinkFilter{DeviceKey: d.Key, Status: iot.DownlinkIsQueued, Limit: iot.MaxDownlinks})
	if err != nil {
		return nil, err
	}
	list := &wire.ApplicationDownlinks{}
	for _, v := range page.Items {
		var down wire.ApplicationDownlink
		if err := lorawan.ParseJSON(v.Object(), &down); err != nil {
			return nil, err
		}
		list.Downlinks = append(list.Downlinks, &down)
	}
	return list, nil
}

// tailStep is how many messages are sent to a subscriber at once.
const tailStep = 100

// Subscribe sends a project's LoRaWAN messages as they arrive, until the caller goes. A
// subscriber that falls behind gets the missed messages from disk.
func (s appAs) Subscribe(q *wire.ApplicationIdentifiers, stream wire.AppAs_SubscribeServer) error {
	if e := checkApplicationIDs(q); e != nil {
		return e
	}
	ctx := stream.Context()
	if _, _, err := s.application(ctx, q.GetApplicationId(), iot.ReadTraffic); err != nil {
		return err
	}
	if s.Hub == nil {
		return plain(codeUnimplemented, "this server has no live events")
	}
	t := tail{from: s.DB.NewID(), sent: map[iot.ID]bool{}}
	for {
		heard, err := s.follow(ctx, q.GetApplicationId(), &t, stream)
		if err != nil {
			return err
		}
		if !heard {
			return plain(codeUnavailable, "the server is stopping or has too many subscribers; subscribe again later")
		}
	}
}

// overlap is how long a message can take to the disk while messages with later ids
// arrive there: ids are assigned before the commit.
const overlap = 2 * time.Second

// tail is the position of a subscriber.
type tail struct {
	from iot.ID          // every message up to it was sent or skipped
	sent map[iot.ID]bool // later messages already sent or skipped
}

// forward moves the tail to the latest handled message that is more than overlap before
// the last.
func (t *tail) forward(last iot.ID) {
	settled := iot.KeyAt(iot.KeyTime(last.Key()).Add(-overlap))
	for id := range t.sent {
		if id.Key() < settled {
			delete(t.sent, id)
			if id.Key() > t.from.Key() {
				t.from = id
			}
		}
	}
}

// follow sends the messages after a tail until its subscription ends, because the
// caller was too slow or the server is stopping. heard is false if there was no event.
// The key is checked before each step, so that a stream does not outlive its key.
func (s appAs) follow(ctx context.Context, application string, t *tail, stream wire.AppAs_SubscribeServer) (heard bool, err error) {
	p, _, err := s.application(ctx, application, iot.ReadTraffic)
	if err != nil {
		return false, err
	}
	events, stop := s.Hub.Subscribe(p.Key)
	defer stop()
	for {
		if p, _, err = s.application(ctx, application, iot.ReadTraffic); err != nil {
			return heard, err
		}
		if err = s.sendAfter(ctx, p, t, stream); err != nil {
			return heard, err
		}
		for name := iot.EventName(""); name != iot.MessagesChanged; {
			var open bool
			select {
			case name, open = <-events:
			case <-ctx.Done():
				return heard, ctx.Err()
			}
			if !open {
				return heard, nil
			}
			heard = true
		}
	}
}

// sendAfter sends the messages after a tail. It skips messages without the form of
// their type.
func (s appAs) sendAfter(ctx context.Context, p *iot.Project, t *tail, stream wire.AppAs_SubscribeServer) error {
	for at := t.from; ; {
		list, err := s.DB.MessagesAfter(ctx, p.Key, at, tailStep)
		if err != nil {
			return err
		}
		for i := range list {
			at = list[i].ID
			if t.sent[at] {
				continue
			}
			t.sent[at] = true
			if !list[i].Type.LoRaWAN() {
				continue
			}
			var up wire.ApplicationUp
			if err := lorawan.ParseJSON(list[i].Payload, &up); err != nil {
				s.Log.WarnContext(ctx, "message for a subscriber", slog.String("message", at.String()), slog.Any("error", err))
				continue
			}
			if err := stream.Send(&up); err != nil {
				return err
			}
		}
		t.forward(at)
		if len(list) == 0 {
			return nil
		}
	}
}

// checkDeviceIDs accepts an ID of our own devices that The Things Stack would refuse:
// see noDevice.
func checkDeviceIDs(v *wire.EndDeviceIdentifiers) *Error {
	if reason := checkID(v.GetDeviceId()); reason != "" && iot.CheckDeviceID("", v.GetDeviceId()) != nil {
		return invalidField("device_id", "EndDeviceIdentifiers", reason, nil)
	}
	if e := checkApplicationIDs(v.GetApplicationIds()); e != nil {
		return invalidField("application_ids", "EndDeviceIdentifiers", embedded, e)
	}
	return nil
}

// configuration is the service As.
type configuration struct {
	wire.UnimplementedAsServer
	*server
}

// GetConfiguration answers that no webhook is stopped for being unhealthy: a failing
// one is tried again, each delivery by its schedule.
func (configuration) GetConfiguration(context.Context, *wire.GetAsConfigurationRequest) (*wire.GetAsConfigurationResponse, error) {
	return &wire.GetAsConfigurationResponse{Configuration: &wire.AsConfiguration{
		Webhooks: &wire.AsConfiguration_Webhooks{UnhealthyRetryInterval: durationpb.New(0)}}}, nil
}
