package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Environment variables for the long form of the kill test; "make crash" sets them.
const (
	killsEnv        = "THINGPOST_KILLS"         // how often the program is killed; default 4
	killMessagesEnv = "THINGPOST_KILL_MESSAGES" // how many messages are acknowledged at least; default 600 per kill
)

func numberFrom(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// killing is a crashWorld whose program is killed.
type killing struct {
	*crashWorld
	kills    int
	killed   int
	messages int64
	begun    time.Time
	starting time.Duration // how long the last start took
	over     atomic.Bool   // there are no more kills
}

// TestKilledAtAnyMomentLosesNothing kills the real program with SIGKILL under load,
// many times: after some acknowledgements, while a large batch is being stored, and
// while it starts. In the end each webhook must have got all acknowledged messages,
// nothing else, and in order if it is in order. The database must be consistent after
// any kill.
func TestKilledAtAnyMomentLosesNothing(t *testing.T) {
	t.Parallel()
	kills := numberFrom(killsEnv, 4)
	k := &killing{crashWorld: newCrashWorld(t), kills: kills, messages: int64(numberFrom(killMessagesEnv, lighter(600)*kills)),
		begun: time.Now()}
	k.process = k.started()
	c := k.setUp(k.process)
	ended := k.load(func() bool { return k.over.Load() && k.acked.size() >= k.messages })
	for reported := 0; k.killed < kills; {
		k.round()
		if tenths := k.killed * 10 / kills; tenths > reported {
			reported = tenths
			k.check()
			t.Logf("%d of %d kills in %s: %d messages acknowledged, %d requests without an answer, the database agrees with itself",
				k.killed, kills, time.Since(k.begun).Round(time.Second), k.acked.size(), k.unanswered.Load())
		}
		began := time.Now()
		k.process = k.started()
		k.starting = time.Since(began)
	}
	k.over.Store(true)
	k.wait("the senders are done", func() bool { return k.acked.size() >= k.messages })
	ended()
	k.drain(c)
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d kills, %d messages acknowledged, 0 lost, 0 out of order; %d of %d arrivals were repeats", k.killed,
			k.acked.size(), k.repeats(), k.arrivals()))
	}
}

// round lets the program work for a while and kills it at a random moment, and
// sometimes again while it starts.
func (k *killing) round() {
	enough := k.acked.size() + rand.Int64N(2*k.messages/int64(k.kills)+1)
	k.wait("enough was acknowledged", func() bool { return k.acked.size() >= enough })
	if k.killed%3 == 1 { // while a large batch is being written to disk
		select {
		case <-k.large:
		default:
		}
		<-k.large
		<-time.After(rand.N(20 * time.Millisecond))
	}
	k.process.end(k.t, syscall.SIGKILL)
	k.killed++
	if k.killed%3 != 0 || k.killed == k.kills {
		return
	}
	p, ready := k.start()
	<-time.After(rand.N(k.starting + time.Millisecond))
	must(k.t, p.Process.Kill())
	<-ready
	_ = p.Wait()
	k.killed++
}
