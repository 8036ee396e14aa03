package mail

import (
	"context"
	"log/slog"
	netmail "net/mail"
	"sync"
	"time"

	"thingpost/internal/iot"
)

// Options of a Mailer.
type Options struct {
	Server *Server
	From   *netmail.Address
	// Open reports whether the invitation of a token can still be accepted. If not, no
	// mail is sent.
	Open func(ctx context.Context, token iot.Secret) bool
	// Done gets the result of each mail: "" if the server has accepted it, else why it
	// was not sent, for people. Several goroutines call it.
	Done func(id iot.ID, failure string)
	Now  func() time.Time
	Log  *slog.Logger
	// After waits until a retry; default time.After.
	After func(time.Duration) <-chan time.Time
	// Timeout bounds an attempt; default 30 s.
	Timeout time.Duration
	// Grace is how long waiting mails may take after Run's ctx has ended; default 5 s.
	Grace time.Duration
}

const (
	maxWaiting = 200 // mails in memory, of some KiB each
	maxSending = 4   // connections at a time
)

// retries are the waits before further attempts. The last is long enough for servers that
// defer mail from unknown senders (greylisting), mostly for five minutes.
var retries = [...]time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// Mailer mails invitations in the background. It is safe for concurrent use.
type Mailer struct {
	o    Options
	slot chan struct{} // one element for each connection
	send context.Context
	cut  context.CancelFunc

	mu      sync.Mutex
	waiting int
	stopped chan struct{} // closed: no more retries
	mails   sync.WaitGroup
}

// New returns a mailer, which works at once. It works until Run returns.
func New(o Options) *Mailer {
	if o.After == nil {
		o.After = time.After
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Grace == 0 {
		o.Grace = 5 * time.Second
	}
	m := &Mailer{o: o, slot: make(chan struct{}, maxSending), stopped: make(chan struct{})}
	m.send, m.cut = context.WithCancel(context.Background())
	return m
}

// Texts for people: why a mail was not sent.
const (
	textFull    = "Too many mails are waiting to be sent."
	textStopped = "Thingpost was stopped before the mail was sent."
	textForm    = "Mail cannot be sent to an address of this form."
	textClosed  = "The invitation was no longer open."
)

// Mail accepts an invitation, with its token, to be mailed with its link. It never waits:
// Done gets the result later. A failure says, for people, why the invitation was not
// accepted: 200 mails are waiting, the program is stopping, or the address is invalid.
func (m *Mailer) Mail(v *iot.Invitation, link string) (failure string) {
	to, ok := recipient(v.Email)
	if !ok {
		return textForm
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isStopped() {
		return textStopped
	}
	if m.waiting >= maxWaiting {
		m.o.Log.Warn("mail was dropped: too many are waiting", slog.Any("invitation", v.ID))
		return textFull
	}
	m.waiting++
	copied := *v
	m.mails.Go(func() { m.deliver(&copied, to, link) })
	return ""
}

func (m *Mailer) isStopped() bool {
	select {
	case <-m.stopped:
		return true
	default:
		return false
	}
}

// Run waits until ctx ends. Then it gives waiting mails the grace time to be sent, and
// returns after Done was called for all.
func (m *Mailer) Run(ctx context.Context) error {
	<-ctx.Done()
	m.mu.Lock()
	close(m.stopped)
	m.mu.Unlock()
	late := time.AfterFunc(m.o.Grace, m.cut)
	defer late.Stop()
	m.mails.Wait()
	m.cut()
	return nil
}

// deliver makes the attempts of a mail.
func (m *Mailer) deliver(v *iot.Invitation, to *netmail.Address, link string) {
	failure := m.attempts(v, to, link)
	m.o.Done(v.ID, failure)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting--
}

func (m *Mailer) attempts(v *iot.Invitation, to *netmail.Address, link string) (failure string) {
	for n := 0; ; n++ {
		select {
		case m.slot <- struct{}{}:
		case <-m.send.Done():
			return textStopped
		}
		failure, again := m.attempt(v, to, link)
		<-m.slot
		if failure == "" || !again || n == len(retries) {
			return failure
		}
		select {
		case <-m.o.After(retries[n]):
		case <-m.stopped:
			return textStopped
		}
	}
}

// attempt sends a mail once. It returns why that failed, and whether a retry may succeed.
func (m *Mailer) attempt(v *iot.Invitation, to *netmail.Address, link string) (failure string, again bool) {
	ctx, cancel := context.WithTimeout(m.send, m.o.Timeout)
	defer cancel()
	if !m.o.Open(ctx, v.Token) {
		return textClosed, false
	}
	err := m.o.Server.deliver(ctx, m.o.Timeout, message(m.o.From, to, v, link, m.o.Now()))
	if err == nil {
		m.o.Log.Debug("invitation was mailed", slog.Any("invitation", v.ID))
		return "", false
	}
	f := m.o.Server.explain(err, v.Token)
	m.o.Log.Warn("invitation was not mailed", slog.Any("invitation", v.ID), slog.String("error", f.detail),
		slog.Bool("temporary", f.temporary))
	if m.send.Err() != nil {
		return textStopped, false
	}
	return f.text, f.temporary
}
