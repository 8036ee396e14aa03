package inspect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"thingpost/db"
	"thingpost/internal/egress"
	"thingpost/internal/iot"
)

// maxWaiting bounds the delayed requests from outside: each occupies a connection.
const maxWaiting = 64

// Options of an inspector.
type Options struct {
	DB  *db.DB
	Log *slog.Logger // default discards
	// Wait returns after d, or earlier with the context's error; nil uses the clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// Inspector receives requests for the inspectors of all projects. It is safe for
// concurrent use.
type Inspector struct {
	o     Options
	slots chan struct{}
}

// New returns an inspector.
func New(o Options) *Inspector {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	return &Inspector{o: o, slots: make(chan struct{}, maxWaiting)}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Owns reports whether a URL is that of an inspector of this host, by any name of the
// host: a token known here belongs to no other. If the store cannot answer, it returns
// true: RoundTrip then fails, and nothing is dialled.
func (i *Inspector) Owns(ctx context.Context, address string) bool {
	if !strings.Contains(address, iot.InspectorPath) {
		return false // without a look-up: each delivery asks
	}
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	token, ok := strings.CutPrefix(u.EscapedPath(), iot.InspectorPath)
	if !ok {
		return false
	}
	token, _, _ = strings.Cut(token, "/")
	_, err = i.o.DB.InspectorByToken(ctx, token)
	return iot.CodeOf(err) != iot.NotFound
}

// answer is the answer to a sender.
type answer struct {
	status int
	body   string
}

func refusal(status int, code iot.Code, message string) answer {
	return answer{status, `{"error":{"code":"` + string(code) + `","message":` + strconv.Quote(message) + `}}` + "\n"}
}

func (a answer) header() http.Header {
	h := http.Header{"Cache-Control": {"no-store"}}
	if a.body != "" {
		h.Set("Content-Type", "application/json")
	}
	return h
}

// ServeHTTP answers a request from outside. The server bounds the size and the time of
// its body.
func (i *Inspector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	a, err := i.receive(r, host)
	if err != nil {
		if r.Context().Err() != nil {
			return // the sender is gone
		}
		i.o.Log.Error("inspect request", slog.Any("error", err))
		a = refusal(http.StatusServiceUnavailable, iot.Unavailable, "The request could not be stored. Try again in a moment.")
	}
	maps.Copy(w.Header(), a.header())
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body) // the sender may be gone
}

// RoundTrip answers a request of this process. egress calls it instead of dialling.
func (i *Inspector) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := i.receive(r, "")
	if r.Body != nil {
		_ = r.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: a.status, Status: iot.StatusCode(a.status).Text(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header(), Body: io.NopCloser(strings.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: r}, nil
}

// receive stores a request and returns the answer after the configured delay. remote is
// "" for a request of this process. The error is the store's or the context's.
func (i *Inspector) receive(r *http.Request, remote string) (answer, error) {
	token, path, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), iot.InspectorPath), "/")
	if path != "" {
		path = "/" + path
	}
	to, err := i.o.DB.InspectorByToken(r.Context(), token)
	if iot.CodeOf(err) == iot.NotFound {
		return refusal(http.StatusNotFound, iot.NotFound, "There is no inspector at this address."), nil
	}
	if err != nil {
		return answer{}, err
	}
	body, size, err := head(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return refusal(http.StatusRequestEntityTooLarge, iot.TooLarge, "The body is too large."), nil
	}
	if err != nil {
		return answer{}, err
	}
	hide, err := i.secrets(r.Context(), to.ProjectKey)
	if err != nil {
		return answer{}, err
	}
	x := &iot.Inspection{ProjectKey: to.ProjectKey, DeliveryID: egress.Delivery(r.Context()), Remote: remote, Method: r.Method,
		Path:  hide.text(path),
		Query: hide.query(r.URL.RawQuery), Headers: hide.headers(lines(r)), Body: body, SizeBytes: size, Status: to.Status, DelayMS: to.DelayMS}
	if err := i.o.DB.AddInspection(x); err != nil {
		return answer{}, err
	}
	if to.DelayMS > 0 {
		if full, err := i.delay(r.Context(), to.Delay(), remote != ""); full || err != nil {
			return refusal(http.StatusServiceUnavailable, iot.Unavailable,
				"Too many requests are waiting for an answer. Try again in a moment."), err
		}
	}
	return reply(to.Status, x.ID), nil
}

// delay waits for d. full means that the most requests from outside are waiting
// already.
func (i *Inspector) delay(ctx context.Context, d time.Duration, outside bool) (full bool, err error) {
	if outside {
		select {
		case i.slots <- struct{}{}:
			defer func() { <-i.slots }()
		default:
			return true, nil
		}
	}
	return false, i.o.Wait(ctx, d)
}

func reply(status iot.StatusCode, id iot.ID) answer {
	a := answer{status: int(status)}
	if status != http.StatusNoContent && status != http.StatusResetContent && status != http.StatusNotModified {
		a.body = `{"inspector":"` + status.Text() + `","request":"` + id.String() + `"}` + "\n"
	}
	return a
}

// head reads a whole body, and returns its start and its size.
func head(body io.Reader) (kept []byte, size int64, err error) {
	if body == nil {
		return nil, 0, nil
	}
	var b bytes.Buffer
	if size, err = io.Copy(&b, io.LimitReader(body, iot.MaxInspectedBody)); err != nil {
		return nil, 0, err
	}
	more, err := io.Copy(io.Discard, body)
	return b.Bytes(), size + more, err
}

// lines returns a request's headers ordered by name, including those that net/http
// stores elsewhere.
func lines(r *http.Request) iot.HeaderLines {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	all := iot.HeaderLines{{Name: "Host", Value: host}}
	if r.ContentLength >= 0 && r.Header.Get("Content-Length") == "" && r.Method != http.MethodGet {
		all = append(all, iot.HeaderLine{Name: "Content-Length", Value: strconv.FormatInt(r.ContentLength, 10)})
	}
	for name, values := range r.Header {
		for _, v := range values {
			all = append(all, iot.HeaderLine{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(all, func(a, b iot.HeaderLine) int { return strings.Compare(a.Name, b.Name) })
	return all
}
