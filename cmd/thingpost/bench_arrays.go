package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	arrayDevices = 100 // devices of an array's messages
	arrayPatient = 6   // wait at most so many times -seconds for arrays, and for their deliveries
)

// benchArrays has the effect of large arrays on another project's sender.
type benchArrays struct {
	Arrays   int `json:"arrays"`
	Messages int `json:"messages"` // of each array
	Webhooks int `json:"webhooks"` // that want each message

	Alone  benchLatency   `json:"alone"`  // the other project's sender
	Beside benchLatency   `json:"beside"` // the same while arrays are sent
	Sender map[string]int `json:"sender"` // answers, by status

	Answers map[string]int `json:"told"`   // answers to the senders of arrays, by status
	Stored  int            `json:"stored"` // messages acknowledged in the answers
	Refused int            `json:"refused"`
	Seconds float64        `json:"seconds"` // until each array was answered or abandoned
	Owed    int            `json:"owed"`    // deliveries of messages that answers acknowledge: all must arrive
	Missing int            `json:"missing"` // of these, when the wait ended
	Arrived int            `json:"arrived"` // deliveries of arrays by then, also of those without an answer
	PeakMiB float64        `json:"peak_mib"`
}

func (y *benchYard) arrays(ctx context.Context, arrays, messages, hooks int) (*benchArrays, error) {
	r := &benchArrays{Arrays: arrays, Messages: messages, Webhooks: hooks}
	server, err := y.serve(ctx, fmt.Sprintf("arrays-%d", hooks), "-max-webhooks", fmt.Sprint(max(hooks, 5)))
	if err != nil {
		return nil, err
	}
	defer server.kill()
	a, err := benchSignIn(ctx, y.client, server.url)
	if err != nil {
		return nil, err
	}
	other, err := y.furnish(ctx, a, server, "other", y.place("other", 0), 1)
	if err != nil {
		return nil, err
	}
	large, err := y.furnish(ctx, a, server, "large", y.place("large", 0), hooks)
	if err != nil {
		return nil, err
	}
	for i := range arrayDevices {
		if _, err := a.device(ctx, "large", probeName(i+1)); err != nil {
			return nil, err
		}
	}
	large.url = server.url + "/api/v1/projects/large/messages"
	if large.key, err = a.key(ctx, "large"); err != nil {
		return nil, err
	}
	if r.Alone, err = y.aloneFor(ctx, other); err != nil {
		return nil, err
	}
	return r, y.besideArrays(ctx, r, server, other, large)
}

// aloneFor is the latency of one project's sender alone.
func (y *benchYard) aloneFor(ctx context.Context, other benchPost) (l benchLatency, err error) {
	answers, err := y.load.begin(ctx, y.sink)
	if err != nil {
		return l, err
	}
	if err := y.load.evenly(ctx, answers, slowRate, slowRate*y.c.seconds, func() benchPost { return other }); err != nil {
		return l, err
	}
	f, err := answers.settle(ctx, y.sink, time.Minute)
	l = answers.latency(f, "other")
	l.Rate = slowRate
	return l, err
}

// besideArrays sends the arrays concurrently, and the other project's messages beside
// them until each array is answered and some seconds have passed.
func (y *benchYard) besideArrays(ctx context.Context, r *benchArrays, server *benchChild, other, large benchPost) error {
	patience := time.Duration(arrayPatient*y.c.seconds) * time.Second
	answers, err := y.load.begin(ctx, y.sink)
	if err != nil {
		return err
	}
	single := &benchAnswers{first: answers.first, acked: acked{}, Statuses: map[string]int{}}
	window, end := context.WithTimeout(ctx, patience)
	defer end()
	began := y.now()
	var senders, evenly errgroup.Group
	evenly.Go(func() error { return y.load.even(ctx, window, single, slowRate, func() benchPost { return other }) })
	for range r.Arrays {
		senders.Go(func() error { return y.sendArray(window, answers, large, r) })
	}
	err = senders.Wait()
	r.Seconds = y.now().Sub(began).Seconds()
	select {
	case <-time.After(time.Duration(y.c.seconds)*time.Second - y.now().Sub(began)):
	case <-window.Done():
	}
	end()
	if err := errors.Join(err, evenly.Wait(), errorOf(server)); err != nil {
		return err
	}
	r.PeakMiB = server.memoryMiB("VmHWM")
	r.Sender, r.Answers, r.Owed = single.Statuses, answers.Statuses, answers.owed
	all := maps.Clone(single.acked)
	maps.Copy(all, answers.acked)
	f, lost, err := y.sink.await(ctx, all, answers.owed+single.owed, patience)
	if err != nil {
		return err
	}
	// The arrays can owe more than the wait allows.
	own, err := y.sink.lost(ctx, single.acked)
	if err == nil && own > 0 {
		err = fmt.Errorf("%d arrivals owed to the other project did not come within %s", own, patience)
	}
	r.Beside, r.Missing, r.Arrived = single.latency(f, "other"), lost-own, f.Arrived-(single.owed-own)
	r.Beside.Rate, r.PeakMiB = slowRate, max(r.PeakMiB, server.memoryMiB("VmHWM"))
	return err
}

// sendArray sends one array, again while it is asked to wait, or until window ends.
func (y *benchYard) sendArray(window context.Context, answers *benchAnswers, to benchPost, r *benchArrays) error {
	last := int(y.load.last.Add(int64(r.Messages)))
	var text strings.Builder
	for n := last - r.Messages + 1; n <= last; n++ {
		fmt.Fprintf(&text, `,{"from":"%s","payload":{"n":%d}}`, probeName(1+n%arrayDevices), n)
	}
	body := []byte("[" + text.String()[1:] + "]")
	for {
		got, err := benchSend(window, y.client, http.MethodPost, to.url, to.key, body)
		if err != nil && window.Err() == nil {
			return err
		}
		wait := got.status == http.StatusTooManyRequests || got.status == http.StatusServiceUnavailable
		stored, refused := storedOf(got.body)
		answers.mu.Lock()
		answers.count(got.status)
		for _, i := range stored {
			answers.ack(to, last-r.Messages+1+i)
		}
		r.Stored, r.Refused = r.Stored+len(stored), r.Refused+refused
		answers.mu.Unlock()
		if !wait || len(stored) > 0 {
			return nil
		}
		select {
		case <-time.After(max(got.retryAfter, 100*time.Millisecond)):
		case <-window.Done():
			return nil
		}
	}
}

// storedOf reads which messages of an array an answer acknowledges, and how many it
// refuses one by one.
func storedOf(answer []byte) (stored []int, refused int) {
	var list struct{ Messages []struct{ ID string } }
	if json.Unmarshal(answer, &list) != nil {
		return nil, 0
	}
	for i, m := range list.Messages {
		if m.ID != "" {
			stored = append(stored, i)
		}
	}
	return stored, len(list.Messages) - len(stored)
}

// statuses lists answers by status.
func statuses(counts map[string]int) string {
	var list []string
	for status, n := range counts {
		list = append(list, fmt.Sprintf("%d × %s", n, status))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (r *benchArrays) table(t benchTable) {
	t.line("\nanother project's sender, %d messages/s\taccept p50 / p99\tarrival p50 / p99", r.Alone.Rate)
	t.line("alone\t%s", r.Alone)
	t.line("beside %d arrays of %d messages with %d webhooks\t%s", r.Arrays, r.Messages, r.Webhooks, r.Beside)
	t.line("its answers were %s; those to senders of arrays %s within %.1f s, %d messages stored, %d refused",
		statuses(r.Sender), statuses(r.Answers), r.Seconds, r.Stored, r.Refused)
	t.line("%d deliveries of arrays arrived; of %d that answers promise %d were missing; at most %.0f MiB of memory", r.Arrived, r.Owed,
		r.Missing, r.PeakMiB)
}
