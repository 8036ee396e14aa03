package ingest

import (
	"encoding/json"
	"math/big"
	"testing"
)

// A decimal equals the number as written, and sums are exact in any order.
func FuzzDecimal(f *testing.F) {
	f.Add("1.5e3", "-0.25")
	f.Add("1e400", "1e-400")
	f.Add("-.5", "+1")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, ok := parseDecimal(a)
		y, ok2 := parseDecimal(b)
		if !ok || !ok2 {
			return
		}
		if want, valid := new(big.Rat).SetString(a); valid && json.Valid([]byte(a)) && rat(x).Cmp(want) != 0 {
			t.Errorf("%s is read as %v", a, rat(x))
		}
		sum, turned := x.plus(y), y.plus(x)
		if rat(sum).Cmp(new(big.Rat).Add(rat(x), rat(y))) != 0 || rat(sum).Cmp(rat(turned)) != 0 {
			t.Errorf("%s + %s is %v", a, b, rat(sum))
		}
		if n, ok := x.times(1000); ok {
			if diff := new(big.Rat).Sub(new(big.Rat).Mul(rat(x), big.NewRat(1000, 1)),
				new(big.Rat).SetInt64(n)); new(big.Rat).Abs(diff).Cmp(big.NewRat(1, 1)) >= 0 {
				t.Errorf("%s × 1000 is %d", a, n)
			}
		}
	})
}

func rat(d decimal) *big.Rat {
	r := new(big.Rat).SetInt(d.digits)
	power := new(big.Rat).SetInt(powerOfTen(max(d.exponent, -d.exponent)))
	if d.exponent < 0 {
		return r.Quo(r, power)
	}
	return r.Mul(r, power)
}

// A LoRaWAN message that was read is JSON that reads as the same again.
func FuzzReadUp(f *testing.F) {
	f.Add([]byte(`{"end_device_ids":{"device_id":"dev1"},"uplink_message":{"f_port":1,"frm_payload":"AQ=="}}`))
	f.Add([]byte(`{"endDeviceIds":{"deviceId":"dev1"},"uplinkMessage":{"fPort":1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, text, err := readUp(body)
		if err != nil {
			return
		}
		again, same, err := readUp(text)
		if !json.Valid(text) || err != nil || again.Type != h.Type || again.DeviceID != h.DeviceID || string(same) != string(text) {
			t.Errorf("%q is read as %q %+v, then %q %+v %v", body, text, h, same, again, err)
		}
	})
}
