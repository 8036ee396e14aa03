package downlink

import (
	"fmt"

	"thingpost/internal/lorawan"
	"thingpost/internal/lorawan/wire"
)

// FromWire returns the orders of The Things Stack's downlinks. It ignores what that
// system sets itself (session, counter, warnings, attempts made).
func FromWire(list []*wire.ApplicationDownlink) ([]Order, error) {
	orders := make([]Order, len(list))
	for i, v := range list {
		o := Order{FPort: int(v.GetFPort()), FRMPayload: v.GetFrmPayload(), Confirmed: v.GetConfirmed(), CorrelationIDs: v.GetCorrelationIds()}
		if p := v.GetPriority(); p != wire.TxSchedulePriority_LOWEST {
			o.Priority = Priority(p.String())
		}
		if v.GetDecodedPayload() != nil {
			var err error
			if o.DecodedPayload, err = lorawan.AppendJSON(nil, v.GetDecodedPayload()); err != nil {
				return nil, fmt.Errorf("write a decoded payload: %w", err)
			}
		}
		if most := v.GetConfirmedRetry().GetMaxAttempts(); most != nil {
			o.ConfirmedRetry = &ConfirmedRetry{MaxAttempts: int(most.GetValue())}
		}
		o.ClassBC = classBC(v.GetClassBC())
		orders[i] = o
	}
	return orders, nil
}

func classBC(v *wire.ApplicationDownlink_ClassBC) *ClassBC {
	if v == nil {
		return nil
	}
	c := &ClassBC{}
	for _, g := range v.GetGateways() {
		c.Gateways = append(c.Gateways, Gateway{AntennaIndex: int(g.GetAntennaIndex()), GroupIndex: int(g.GetGroupIndex()),
			IDs: GatewayIDs{ID: g.GetGatewayIds().GetGatewayId(), EUI: fmt.Sprintf("%X", g.GetGatewayIds().GetEui())}})
	}
	if v.GetAbsoluteTime() != nil {
		at := v.GetAbsoluteTime().AsTime()
		c.AbsoluteTime = &at
	}
	return c
}
