package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// The measurements of "bench" with servers as processes run here, but small. Their
// times mean nothing here. Their counts of messages must be right: bench itself fails
// if an acknowledged message did not arrive.
func TestBenchParts(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		check func(*testing.T, *benchParts)
	}{
		"devices": {[]string{"-devices", "30", "-messages", "200", "-rounds", "1", "-senders", "8"}, func(t *testing.T, r *benchParts) {
			t.Helper()
			d := r.Devices
			if d.Devices != 30 || d.Few != 20 || len(d.Keys) != 2 || len(d.Register) != 2 {
				t.Fatalf("it says %+v", d)
			}
			for _, k := range d.Keys {
				if k.Few.Delivered <= 0 || k.Many.Delivered <= 0 || k.Changed.Delivered <= 0 || k.Ratio <= 0 || k.ChangedRatio <= 0 {
					t.Errorf("with the %s it says %+v", k.Key, k)
				}
			}
			for _, g := range d.Register {
				if g.FirstMS <= 0 || g.LastMS <= 0 {
					t.Errorf("of registering %s it says %+v", g.How, g)
				}
			}
		}},
		"arrays": {[]string{"-arrays", "2", "-array-messages", "50", "-array-webhooks", "6", "-seconds", "1"}, func(t *testing.T, r *benchParts) {
			t.Helper()
			for _, a := range []*benchArrays{r.Arrays, r.Wide} {
				if a.Stored != a.Arrays*a.Messages || a.Owed != a.Stored*a.Webhooks || a.Arrived != a.Owed || a.Missing != 0 || a.Refused != 0 ||
					a.Answers["202"] != a.Arrays || a.Sender["202"] == 0 {
					t.Errorf("it says %+v", a)
				}
			}
			if r.Arrays.Webhooks != 5 || r.Wide.Webhooks != 6 || r.Wide.Messages != 5 {
				t.Errorf("it says %+v, %+v", r.Arrays, r.Wide)
			}
		}},
		"memory": {[]string{"-small-memory", "1GiB", "-seconds", "1", "-senders", "2"}, func(t *testing.T, r *benchParts) {
			t.Helper()
			m := r.SmallMemory
			if m.Senders != 2 || m.Answers["202"] == 0 || m.Arrived != m.Answers["202"]*largeWebhooks || m.Limited == (m.Why != "") || m.Killed {
				t.Errorf("it says %+v", m)
			}
			if runtime.GOOS == "linux" && m.PeakMiB <= 0 {
				t.Errorf("a server took %v MiB", m.PeakMiB)
			}
		}},
		"tenants": {[]string{"-tenants", "3", "-messages", "200", "-rounds", "1", "-seconds", "1",
			"-senders", "4"}, func(t *testing.T, r *benchParts) {
			t.Helper()
			n := r.Tenants
			if n.Projects != 3 || n.Others["202"] == 0 || n.Flood["202"] == 0 || len(n.Ratios) != 1 ||
				n.Alone.ArrivalP99 <= 0 || n.Beside.ArrivalP99 <= 0 {
				t.Errorf("it says %+v", n)
			}
		}},
		"against": {[]string{"-against", os.Args[0], "-messages", "200", "-rounds", "1", "-seconds", "1", "-senders", "8",
			"-pending", "200"}, func(t *testing.T, r *benchParts) {
			t.Helper()
			if len(r.Against.Rows) != 8 {
				t.Errorf("it has %d rows", len(r.Against.Rows))
			}
			for _, row := range r.Against.Rows {
				cpu := strings.HasPrefix(row.Name, "CPU") || strings.HasPrefix(row.Name, "memory") // unknown on some systems
				if !cpu && (row.Ours == nil || *row.Ours <= 0 || row.Theirs == nil || *row.Theirs <= 0 || len(row.Ratios) != 1) {
					t.Errorf("of %s it says %+v", row.Name, row)
				}
			}
		}},
		"writes": {[]string{"-writes", "-rates", "50", "-seconds", "1"}, func(t *testing.T, r *benchParts) {
			t.Helper()
			if len(r.Against.Rows) != 4 {
				t.Errorf("it has %d rows", len(r.Against.Rows))
			}
			for _, row := range r.Against.Rows {
				if row.Theirs != nil || (row.Ours == nil) != (row.Note != "") || row.Ours != nil && *row.Ours <= 0 {
					t.Errorf("of %s it says %+v", row.Name, row)
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, complaint := run(t, "", []string{"TMPDIR=" + t.TempDir()}, append([]string{"bench", "-json"}, c.args...)...)
			if status != 0 {
				t.Fatalf("exit status %d: %s", status, complaint)
			}
			var r benchParts
			must(t, json.Unmarshal([]byte(out), &r))
			var text strings.Builder
			must(t, r.print(&text))
			if strings.Contains(text.String(), "%!") {
				t.Errorf("it prints %s", text.String())
			}
			c.check(t, &r)
		})
	}
}

func TestBenchPartsRefuseWhatCannotBeMeant(t *testing.T) {
	for _, c := range [][]string{
		{"-against", "/none/thingpost", "must be a program"},
		{"-writes", "-rates", "1,x", "must be numbers"},
		{"-small-memory", "1MiB", "must be at least 64MiB"},
		{"-as", "judge", "must be receiver or relay"},
	} {
		mustRun(t, exitUsage, c[len(c)-1], append([]string{"bench"}, c[:len(c)-1]...)...)
	}
}

// Messages that the receiver did not get are missing, and repeats are counted.
func TestBenchReceiverFindsWhatIsLost(t *testing.T) {
	server := httptest.NewServer(newSink(time.Now).handler())
	defer server.Close()
	s := &benchSink{benchChild: &benchChild{url: server.URL}, client: server.Client()}
	must(t, s.reset(t.Context(), 10))
	send := func(n int, hook string) {
		body := numberedBody(time.Now(), n, 0)[len(`{"payload":`):]
		got, err := benchSend(t.Context(), server.Client(), http.MethodPost, server.URL+"/in/0s/group/project/"+hook, "", body)
		must(t, err)
		if got.status != http.StatusOK {
			t.Fatalf("answer %d", got.status)
		}
	}
	answers := &benchAnswers{first: 10, acked: acked{}, Statuses: map[string]int{}}
	for n := 10; n < 30; n++ {
		answers.note(benchPost{project: "project", hooks: 2}, n, http.StatusAccepted, 0)
		send(n, "hook-1")
		if n != 12 && n != 29 {
			send(n, "hook-2")
		}
	}
	send(9, "hook-2")  // of an earlier part
	send(30, "hook-1") // stored without an answer
	send(20, "hook-1")
	lost, err := s.lost(t.Context(), answers.acked)
	must(t, err)
	f, all, err := s.waitFor(t.Context(), answers.owed, time.Nanosecond)
	must(t, err)
	if lost != 2 || all || f.Arrived != 39 || f.Repeats != 1 || answers.owed != 40 {
		t.Errorf("%d lost, all: %t, %+v of %d", lost, all, f, answers.owed)
	}
	if _, err := answers.settle(t.Context(), s, time.Millisecond); err == nil {
		t.Error("a part of which something is lost has settled")
	}
	answers.acked["silent"] = &ackedNumbers{Hooks: 5, Numbers: bitset{1}}
	if lost, err = s.lost(t.Context(), answers.acked); err != nil || lost != 7 {
		t.Errorf("%d lost, of which 5 of hooks that got nothing: %v", lost, err)
	}
	send(12, "hook-2")
	send(29, "hook-2")
	delete(answers.acked, "silent")
	if _, err := answers.settle(t.Context(), s, time.Minute); err != nil {
		t.Error(err)
	}
}

// A process in a control group gets no more memory than its limit. If no group can be
// created, the reason is reported.
func TestBenchGroupBoundsMemory(t *testing.T) {
	g, err := newBenchGroup(32 << 20)
	if err != nil {
		t.Log("no control group can be made here: ", err)
		return
	}
	defer g.remove()
	for script, dies := range map[string]bool{"true": false, "head -c 200000000 /dev/zero | tail -n 1 >/dev/null": true} {
		line := append(g.enter(), "/bin/sh", "-c", script)
		if err := exec.CommandContext(t.Context(), line[0], line[1:]...).Run(); (err != nil) != dies {
			t.Errorf("%s: %v", script, err)
		}
	}
	if peak := g.peakMiB(); peak < 16 || peak > 32 {
		t.Errorf("the group took %v MiB", peak)
	}
}
