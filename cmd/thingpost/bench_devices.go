package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

const (
	fewDevices     = 20 // the number to compare with
	changesEvery   = time.Second
	mostRegistered = 200 // devices at once; a fiftieth of -messages, if that is less
)

// benchDevices compares a project of many devices with one of few. Senders are random
// devices. The server is restarted for each round, so that its memory is empty.
type benchDevices struct {
	Devices  int             `json:"devices"`
	Few      int             `json:"few"`
	Messages int             `json:"messages"` // of a round
	Keys     []benchKeyRow   `json:"keys"`
	Register []benchRegister `json:"register"`
}

// benchKeyRow are medians of rounds with one kind of key.
type benchKeyRow struct {
	Key  string     `json:"key"` // "project key" or "device keys"
	Few  benchSpeed `json:"few"`
	Many benchSpeed `json:"many"`
	// Changed is Many while another project's webhook is paused or resumed each second.
	Changed benchSpeed `json:"changed"`
	// Ratio is Many to Few and ChangedRatio Changed to Many, of messages per second.
	// CPURatio is the CPU of Few to that of Many. All are medians of the rounds.
	Ratio        float64 `json:"ratio"`
	CPURatio     float64 `json:"cpu_ratio"`
	ChangedRatio float64 `json:"changed_ratio"`
}

// benchRegister is the cost of registering a device, in an empty project and in one
// with many.
type benchRegister struct {
	How        string  `json:"how"`
	FirstMS    float64 `json:"first_ms"`
	LastMS     float64 `json:"last_ms"`
	FirstCPUMS float64 `json:"first_cpu_ms"`
	LastCPUMS  float64 `json:"last_cpu_ms"`
	Ratio      float64 `json:"ratio"`     // of the times, last to first
	CPURatio   float64 `json:"cpu_ratio"` // of the CPU
}

// deviceFolder is a data folder with a project of n devices, an empty project, and one
// whose webhook can be changed.
type deviceFolder struct {
	name                     string
	n                        int
	keys                     []string // of the devices
	project, empty, neighbor string   // keys of the projects
}

// Projects of such a folder.
const (
	fullProject  = "bench"
	emptyProject = "nursery"
	nextProject  = "neighbor"
)

func probeName(i int) string { return "probe-" + strconv.Itoa(i+1) }

// deviceFolder fills a folder through the store: HTTP would take minutes.
func (y *benchYard) deviceFolder(ctx context.Context, name string, n int) (f *deviceFolder, err error) {
	f = &deviceFolder{name: name, n: n}
	store, err := db.Open(ctx, db.Options{Folder: filepath.Join(y.folder, name), Now: y.now})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	a, o := &iot.Account{Email: benchEmail, Name: "Bench"}, &iot.Organization{Name: "Bench"}
	if err := store.SetUp(a, o); err != nil {
		return nil, err
	}
	rights, err := iot.ParseRights([]string{"RIGHT_APPLICATION_ALL"})
	if err != nil {
		return nil, err
	}
	for id, key := range map[string]*string{fullProject: &f.project, emptyProject: &f.empty, nextProject: &f.neighbor} {
		p := &iot.Project{ID: id, Name: id, OrganizationKey: o.Key, AutoRegister: true}
		if err := store.CreateProject(p, benchActor); err != nil {
			return nil, err
		}
		keyID, secret, text := iot.NewAPIKey()
		k := &iot.APIKey{ID: keyID, ProjectKey: p.Key, Name: "Bench", Rights: rights}
		if err := store.CreateAPIKey(k, secret, benchActor); err != nil {
			return nil, err
		}
		*key = text.Reveal()
		w := benchWebhook(p, "hook-1", y.place("devices", 0)+"/"+id+"/hook-1")
		w.PayloadOnly = true // the receiver looks for a number at the start
		if err := store.CreateWebhook(w, benchActor); err != nil {
			return nil, err
		}
		if id == fullProject {
			if f.keys, err = fillDevices(ctx, store, p, n); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

func fillDevices(ctx context.Context, store *db.DB, p *iot.Project, n int) (keys []string, err error) {
	const step = 1000
	for len(keys) < n && ctx.Err() == nil {
		var list []*iot.Device
		var secrets []iot.Secret
		for range min(step, n-len(keys)) {
			key := iot.NewDeviceKey()
			list = append(list, &iot.Device{ProjectKey: p.Key, ID: probeName(len(keys))})
			secrets, keys = append(secrets, key), append(keys, key.Reveal())
		}
		if err := store.CreateDevices(list, secrets, benchActor); err != nil {
			return nil, err
		}
	}
	return keys, ctx.Err()
}

func (y *benchYard) devices(ctx context.Context) (*benchDevices, error) {
	r := &benchDevices{Devices: y.c.devices, Few: fewDevices, Messages: y.c.messages}
	few, err := y.deviceFolder(ctx, "few", r.Few)
	if err != nil {
		return nil, err
	}
	many, err := y.deviceFolder(ctx, "many", r.Devices)
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{"project key", "device keys"} {
		row := benchKeyRow{Key: kind}
		var fews, manys, changes []benchSpeed
		var ratios, cpus, changed []float64
		for range y.c.rounds {
			a, err := y.deviceRound(ctx, few, kind, false)
			if err != nil {
				return nil, err
			}
			b, err := y.deviceRound(ctx, many, kind, false)
			if err != nil {
				return nil, err
			}
			c, err := y.deviceRound(ctx, many, kind, true)
			if err != nil {
				return nil, err
			}
			fews, manys, changes = append(fews, a), append(manys, b), append(changes, c)
			ratios, changed = append(ratios, b.Delivered/a.Delivered), append(changed, c.Delivered/b.Delivered)
			cpus = append(cpus, quotient(a.CPUMS, b.CPUMS))
		}
		row.Few, row.Many, row.Changed = medianSpeed(fews), medianSpeed(manys), medianSpeed(changes)
		row.Ratio, row.CPURatio, row.ChangedRatio = median(ratios), median(cpus), median(changed)
		r.Keys = append(r.Keys, row)
	}
	r.Register, err = y.register(ctx, many)
	return r, err
}

// deviceRound sends from random devices to a server that has just started.
func (y *benchYard) deviceRound(ctx context.Context, f *deviceFolder, kind string, changes bool) (s benchSpeed, err error) {
	server, err := y.serve(ctx, f.name)
	if err != nil {
		return s, err
	}
	defer server.stop()
	stop := func() error { return nil }
	if changes {
		stop = y.change(ctx, server, f)
	}
	s, err = y.speed(ctx, server, y.c.senders, y.c.messages, "devices", func() benchPost {
		i, key := rand.IntN(f.n), f.project
		if kind == "device keys" {
			key = f.keys[i]
		}
		return y.post(server, fullProject, probeName(i), key, 1)
	})
	return s, errors.Join(err, stop())
}

// change pauses and resumes another project's webhook in turns, until stop is called.
func (y *benchYard) change(ctx context.Context, server *benchChild, f *deviceFolder) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	a := &benchAPI{url: server.url, token: f.neighbor, client: y.client}
	go func() {
		tick := time.NewTicker(changesEvery)
		defer tick.Stop()
		for verb := "pause"; ; verb = map[string]string{"pause": "resume", "resume": "pause"}[verb] {
			if err := a.post(ctx, "/projects/"+nextProject+"/webhooks/hook-1/"+verb, nil, nil); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				done <- nil
				return
			}
		}
	}()
	return func() error { cancel(); return <-done }
}

// register measures the cost of new devices in the empty and the full project: one by
// one, and as unknown senders of one array.
func (y *benchYard) register(ctx context.Context, f *deviceFolder) ([]benchRegister, error) {
	server, err := y.serve(ctx, f.name)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	registered := max(min(mostRegistered, y.c.messages/50), 1)
	var list []benchRegister
	for _, way := range []struct {
		how   string
		times int // repetitions
		each  int // devices of one repetition
		one   func(a *benchAPI, project string, n int) error
	}{
		{"one by one", registered, 1, func(a *benchAPI, project string, n int) error {
			_, err := a.device(ctx, project, "new-"+strconv.Itoa(n))
			return err
		}},
		{"in an array", 1, registered, func(a *benchAPI, project string, n int) error {
			var messages []map[string]any
			for i := range registered {
				messages = append(messages, map[string]any{"from": fmt.Sprintf("other-%d-%d", n, i), "payload": i})
			}
			return a.post(ctx, "/projects/"+project+"/messages", messages, nil)
		}},
	} {
		const turns = 5
		var times, cpus [2][]float64
		for turn := range turns {
			for i, at := range []struct{ project, key string }{{emptyProject, f.empty}, {fullProject, f.project}} {
				a := &benchAPI{url: server.url, token: at.key, client: y.client}
				cpu, began := server.cpu(), y.now()
				n := max(way.times/turns, 1)
				for k := range n {
					if err := way.one(a, at.project, turn*n+k); err != nil {
						return nil, err
					}
				}
				times[i] = append(times[i], ms(y.now().Sub(began))/float64(n*way.each))
				cpus[i] = append(cpus[i], ms(server.cpu()-cpu)/float64(n*way.each))
			}
		}
		row := benchRegister{How: way.how, FirstMS: median(times[0]), LastMS: median(times[1]),
			FirstCPUMS: median(cpus[0]), LastCPUMS: median(cpus[1])}
		row.Ratio, row.CPURatio = quotient(row.LastMS, row.FirstMS), quotient(row.LastCPUMS, row.FirstCPUMS)
		list = append(list, row)
	}
	return list, nil
}

func (r *benchDevices) table(t benchTable) {
	t.line("\n%d messages of random devices to a server just started\tdelivered/s\tCPU a message\taccept p50 / p99\tarrival p50 / p99",
		r.Messages)
	for _, k := range r.Keys {
		t.line("%d devices, %s\t%.0f\t%.3f ms\t%s", r.Few, k.Key, k.Few.Delivered, k.Few.CPUMS, k.Few.benchLatency)
		t.line("%d devices, %s\t%.0f\t%.3f ms\t%s", r.Devices, k.Key, k.Many.Delivered, k.Many.CPUMS, k.Many.benchLatency)
		t.line("the same, another project's webhook changes each second\t%.0f\t%.3f ms\t%s", k.Changed.Delivered, k.Changed.CPUMS,
			k.Changed.benchLatency)
		t.line("ratio\t%.2f\t%.2f\tbeside changes %.2f", k.Ratio, k.CPURatio, k.ChangedRatio)
	}
	t.line("\na device is registered\tin an empty project\tbeside %d\tratio\tCPU\tCPU beside them\tratio", r.Devices)
	for _, g := range r.Register {
		t.line("%s\t%.2f ms\t%.2f ms\t%.2f\t%.2f ms\t%.2f ms\t%.2f", g.How, g.FirstMS, g.LastMS, g.Ratio, g.FirstCPUMS, g.LastCPUMS, g.CPURatio)
	}
}
