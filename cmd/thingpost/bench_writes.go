package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	leastWrites  = 30              // messages at a rate
	writesSettle = 4 * time.Second // at most, until delayed writes are done
	mostSyncs    = 50              // messages while syncs are counted
)

// written is what a build wrote per message.
type written struct {
	bytes, syncs     float64
	noBytes, noSyncs string // why not measured
}

// compareWrites measures the writes and syncs per message at each rate, with one
// webhook and with five.
func (y *benchYard) compareWrites(ctx context.Context, r *benchAgainst, builds []*benchBuild) error {
	for _, hooks := range []int{1, 5} {
		for _, rate := range y.c.rates {
			figures, err := inTurns(1, builds, func(b *benchBuild) (written, error) {
				to := b.one
				if hooks == 5 {
					to = b.five
				}
				return y.writesOf(ctx, b, to, rate)
			})
			if err != nil {
				return err
			}
			webhooks := map[int]string{1: "one webhook", 5: "five webhooks"}[hooks]
			bytes := compare(figures, func(w written) float64 { return w.bytes / 1024 })
			bytes.Name, bytes.Unit = fmt.Sprintf("written a message at %d/s, %s", rate, webhooks), "KiB"
			unmeasured(&bytes, figures, func(w written) string { return w.noBytes })
			syncs := compare(figures, func(w written) float64 { return w.syncs })
			syncs.Name, syncs.Unit = fmt.Sprintf("syncs a message at %d/s, %s", rate, webhooks), ""
			unmeasured(&syncs, figures, func(w written) string { return w.noSyncs })
			r.Rows = append(r.Rows, bytes, syncs)
		}
	}
	return nil
}

// unmeasured empties a row of which some figures are unknown.
func unmeasured(row *benchRow, figures [][]written, why func(written) string) {
	for _, f := range figures {
		if text := why(f[0]); text != "" {
			*row = benchRow{Name: row.Name, Unit: row.Unit, Note: text}
			return
		}
	}
}

// writesOf sends at a rate and reads what the server's process has written when it is
// idle again and its log was read, for which it writes what it has deferred. Then it counts
// syncs with fewer messages.
func (y *benchYard) writesOf(ctx context.Context, b *benchBuild, to benchPost, rate int) (w written, err error) {
	server := b.server
	rest := func() error {
		select {
		case <-time.After(min(writesSettle, time.Duration(y.c.seconds)*time.Second)):
		case <-ctx.Done():
			return ctx.Err()
		}
		return b.api.get(ctx, "/projects/"+to.project+"/deliveries?limit=1")
	}
	if err := rest(); err != nil {
		return w, err
	}
	count := max(leastWrites, rate*y.c.seconds)
	before, known := server.written()
	if _, err := y.evenRound(ctx, to, rate, count); err != nil {
		return w, err
	}
	if err := rest(); err != nil {
		return w, err
	}
	after, _ := server.written()
	w.bytes = float64(after-before) / float64(count)
	switch {
	case !known:
		w.noBytes = "the system does not report what a process writes"
	case after == before:
		w.noBytes = "nothing was written to a disk: choose a folder on a disk with -folder"
	}
	count = max(min(count, mostSyncs), 1)
	trace, why := startTrace(ctx, server, filepath.Join(y.folder, "syncs"))
	if why != "" {
		w.noSyncs = why
		return w, nil
	}
	_, err = y.evenRound(ctx, to, rate, count)
	err = errors.Join(err, rest())
	n, traced := trace.stop()
	w.syncs = float64(n) / float64(count)
	return w, errors.Join(err, traced)
}

// syncTrace counts a process's syncs by strace.
type syncTrace struct {
	cmd  *exec.Cmd
	file string
}

// startTrace starts to count, or says why it cannot.
func startTrace(ctx context.Context, server *benchChild, file string) (t *syncTrace, why string) {
	path, err := exec.LookPath("strace")
	if err != nil {
		return nil, "strace is not installed"
	}
	cmd := exec.CommandContext(ctx, path, "-c", "-f", "-e", "trace=fsync,fdatasync", "-o", file, "-p", server.pid())
	t = &syncTrace{file: file, cmd: cmd}
	out, err := t.cmd.StderrPipe()
	if err != nil {
		return nil, err.Error()
	}
	if err := t.cmd.Start(); err != nil {
		return nil, err.Error()
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), " attached") {
			go func() { // ends with strace
				for lines.Scan() {
				}
			}()
			return t, ""
		}
		why = lines.Text()
	}
	_ = t.cmd.Wait()
	return nil, "strace cannot trace the server: " + why
}

// stop ends the count and returns it.
func (t *syncTrace) stop() (n int, err error) {
	_ = t.cmd.Process.Signal(os.Interrupt)
	_ = t.cmd.Wait() // the signal ends it, hence the error
	text, err := os.ReadFile(t.file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) >= 5 && (f[len(f)-1] == "fsync" || f[len(f)-1] == "fdatasync") {
			calls, err := strconv.Atoi(f[3])
			if err != nil {
				return 0, fmt.Errorf("strace says %q", line)
			}
			n += calls
		}
	}
	return n, nil
}
