package web

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"thingpost/internal/budget"
	"thingpost/internal/iot"
)

// Options of a server. A nil handler answers 404.
type Options struct {
	API       http.Handler // below /api/v1
	TTS       http.Handler // The Things Stack's dialect: below /api/v3 and /v3/api
	Mainflux  http.Handler // Mainflux's dialect: every path that begins with one of its names
	Inlets    http.Handler // messages of other systems: below /in
	Dashboard http.Handler // pages: every path that is not a file's or a program's
	// Failure shows people an error that kept a request from the dashboard; nil answers in JSON.
	Failure   func(w http.ResponseWriter, r *http.Request, err error)
	Static    http.Handler // below /static
	Inspector http.Handler // below /inspect: stores and shows requests from anywhere
	// Metrics answers /metrics for clients with the token. Without a token there is no
	// /metrics.
	Metrics      http.Handler
	MetricsToken iot.Secret
	// Sessions put the account that is signed in into the dashboard's contexts.
	Sessions *Sessions
	// Hub is closed when the server stops, so that live events end.
	Hub *Hub
	// Ready returns why messages cannot be stored, or nil.
	Ready func(context.Context) error
	// PublicURL is the address that browsers use, if it differs from the one they
	// reach.
	PublicURL string
	// Proxies are the networks of the operator's own proxies, whose X-Forwarded-For is
	// trusted. All other requests have the connection's address.
	Proxies []netip.Prefix
	// MaxConnections bounds the open connections of a listener; 0 is DefaultConnections.
	MaxConnections int
	// Intake is the memory for bodies of requests; nil has no bound.
	Intake *budget.Part
	Log    *slog.Logger     // default discards
	Now    func() time.Time // default time.Now
}

// Server answers HTTP. It is safe for concurrent use.
type Server struct {
	o           Options
	headers     answerHeaders
	crossOrigin func(http.Handler) http.Handler
	segments    map[string]http.Handler // see siteMap
	handler     http.Handler
	idPrefix    string
	requests    atomic.Uint64
	stopping    atomic.Bool

	readyMu  sync.Mutex
	readyAt  time.Time
	readyErr error
}

// New returns a server.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, headers: newAnswerHeaders(), idPrefix: strings.ToLower(rand.Text()[:8]) + "-"}
	s.crossOrigin = s.newCrossOrigin().Handler
	m := s.siteMap()
	s.segments, s.handler = m.segments, s.outer(m)
	return s
}

// Handler returns the whole site.
func (s *Server) Handler() http.Handler { return s.handler }

// Bounds of a connection. requestTimeout is for a request's head and body together;
// setReadDeadline has the exceptions.
const (
	headTimeout    = 20 * time.Second
	requestTimeout = time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeader      = 64 << 10
	stopTimeout    = 10 * time.Second
)

// Serve answers on a listener until ctx ends, with TLS if conf is not nil. Then it
// accepts no new requests, ends live events, gives the others ten seconds to finish,
// and returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener, conf *tls.Config) error {
	return s.serve(ctx, l, conf, s.handler)
}

// ServeMetrics answers only /metrics, without a token, on a listener of its own.
func (s *Server) ServeMetrics(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("/metrics", orNothing(s.o.Metrics))
	mux.HandleFunc("/", nothingHere)
	return s.serve(ctx, l, nil, s.outer(mux))
}

func (s *Server) serve(ctx context.Context, l net.Listener, conf *tls.Config, h http.Handler) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler:           h,
		TLSConfig:         conf,
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         newConnections(s.o.MaxConnections).hear,
		ErrorLog:          slog.NewLogLogger(Lines(s.o.Log.Handler()), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		var err error
		if conf != nil {
			err = srv.ServeTLS(l, "", "")
		} else {
			err = srv.Serve(l)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	})
	g.Go(func() error {
		<-ctx.Done()
		s.stopping.Store(true)
		if s.o.Hub != nil {
			s.o.Hub.Close()
		}
		grace, end := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer end()
		if err := srv.Shutdown(grace); err != nil {
			s.o.Log.Warn("requests were cut off", slog.Any("error", err))
			cancel()
			return srv.Close()
		}
		return nil
	})
	return g.Wait()
}
