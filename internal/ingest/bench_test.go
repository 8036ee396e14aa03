package ingest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
)

// many is a store whose project has so many devices, probe-0 and so on.
func many(b *testing.B, devices int) (*db.DB, *iot.Project) {
	b.Helper()
	d, err := db.Open(b.Context(), db.Options{Folder: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	o := &iot.Organization{Name: "Works"}
	if err := d.SetUp(&iot.Account{Email: actor, Name: "Ada", PasswordHash: "x"}, o); err != nil {
		b.Fatal(err)
	}
	p := &iot.Project{Name: "Crowd", OrganizationKey: o.Key, AutoRegister: true}
	if err := d.CreateProject(p, actor); err != nil {
		b.Fatal(err)
	}
	for i := 0; i < devices; i += 500 {
		var list []*iot.Device
		var keys []iot.Secret
		for j := i; j < min(devices, i+500); j++ {
			list = append(list, &iot.Device{ProjectKey: p.Key, ID: fmt.Sprint("probe-", j)})
			keys = append(keys, iot.NewDeviceKey())
		}
		if err := d.CreateDevices(list, keys, actor); err != nil {
			b.Fatal(err)
		}
	}
	return d, p
}

var crowds = []int{20, 50_000}

// BenchmarkAcceptOfRandomDevices stores messages of random devices, 100 per array,
// starting with an empty cache.
func BenchmarkAcceptOfRandomDevices(b *testing.B) {
	for _, devices := range crowds {
		b.Run(fmt.Sprint(devices), func(b *testing.B) {
			d, p := many(b, devices)
			w := New(d, Options{})
			s := Sender{Project: p, Actor: actor}
			for b.Loop() {
				var bodies [][]byte
				for range 100 {
					bodies = append(bodies, fmt.Appendf(nil, `{"from":"probe-%d","payload":1}`, rand.IntN(devices)))
				}
				if _, err := w.Accept(b.Context(), s, bodies...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "µs/message")
		})
	}
}

// BenchmarkColdLookUp reads one device that is not in memory.
func BenchmarkColdLookUp(b *testing.B) {
	for _, devices := range crowds {
		b.Run(fmt.Sprint(devices), func(b *testing.B) {
			d, p := many(b, devices)
			for b.Loop() {
				if _, err := d.Device(b.Context(), p.Key, fmt.Sprint("PROBE-", rand.IntN(devices))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRegister registers 100 new devices beside so many existing ones.
func BenchmarkRegister(b *testing.B) {
	for _, devices := range crowds {
		b.Run(fmt.Sprint(devices), func(b *testing.B) {
			d, p := many(b, devices)
			w := New(d, Options{})
			s := Sender{Project: p, Register: true, Actor: actor}
			n := 0
			for b.Loop() {
				var bodies [][]byte
				for range 100 {
					bodies = append(bodies, fmt.Appendf(nil, `{"from":"New_%d","payload":1}`, n))
					n++
				}
				if r, err := w.Accept(b.Context(), s, bodies...); err != nil || r[0].Err != nil {
					b.Fatal(err, r)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "µs/device")
		})
	}
}
