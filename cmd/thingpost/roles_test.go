package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"thingpost/handlers/api"
	"thingpost/handlers/dashboard"
	"thingpost/handlers/mainflux"
	"thingpost/handlers/tts"
)

// TestRolesEveryRouteHasARow compares the table with the served routes: a route without
// a row fails, and so does a row without a route.
func TestRolesEveryRouteHasARow(t *testing.T) {
	a, table := newTestApp(t), readRoles(t)
	rows, segments := map[string]bool{}, map[string]bool{}
	for _, row := range table.rows {
		if !row.extra {
			rows[row.name()] = true
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(row.pattern, "/"), "/")
		segments[first] = true
	}
	served := slices.Concat(dashboard.Patterns(), tts.Patterns(), mainflux.Patterns())
	for _, rt := range api.Routes() {
		served = append(served, rt.Method+" "+api.Prefix+rt.Pattern)
	}
	for name, service := range tts.NewGRPC(a.dialect, nil).GetServiceInfo() {
		for _, m := range service.Methods {
			served = append(served, "GRPC /"+name+"/"+m.Name)
		}
	}
	for _, name := range served {
		if strings.HasPrefix(name, "/") {
			name = http.MethodPost + " " + name // it accepts any method, to refuse all but this
		}
		if !rows[name] {
			t.Errorf("%s has no row", name)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("%s has a row, but nothing serves it", name)
	}
	for _, segment := range a.web.Segments() {
		if !segments[segment] {
			t.Errorf("/%s has no row", segment)
		}
	}
}

// roleAnswer is an answer; gRPC's codes are HTTP's here.
type roleAnswer struct {
	status int
	body   string
	to     string // of a redirect
}

// refused reports whether the caller was refused.
func (a roleAnswer) refused(r *roleRow) bool {
	switch {
	case a.status == http.StatusSeeOther && strings.HasPrefix(a.to, "/sign-in") && r.pattern != "/sign-out":
		return true
	case a.status == http.StatusBadRequest || a.status == http.StatusUnprocessableEntity:
		// The Things Stack answers keys of other systems as an invalid argument.
		return r.asValue || strings.Contains(a.body, "error:pkg/auth:token")
	}
	return a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || a.status == http.StatusNotFound
}

// ask sends a row's request as a caller, its variables filled in by value.
func (w *rolesWorld) ask(r *roleRow, c *roleCaller, value func(string) string) roleAnswer {
	w.Helper()
	path, body := r.fill(func(name string) string {
		switch {
		case name == "n":
			return w.next()
		case name == "token" && c.token != "":
			return c.token
		case name == "token":
			return "no-such-token"
		}
		text := value(name)
		if text == "" {
			w.Fatalf("%s: there is no %s", r.name(), name)
		}
		return text
	})
	if r.method == "GRPC" {
		return w.call(c, path, body)
	}
	req, err := http.NewRequestWithContext(w.Context(), r.method, w.url+path, strings.NewReader(body))
	must(w.T, err)
	switch {
	case body == "":
	case r.need[:4] == "page" || r.pattern == "/sign-in" || r.pattern == "/setup" || r.pattern == "/theme":
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	default:
		req.Header.Set("Content-Type", "application/json")
	}
	if c.cookie != nil {
		req.AddCookie(c.cookie)
	}
	if c.credential != "" {
		scheme := "Bearer "
		if r.need == "thing" {
			scheme = "Thing "
		}
		req.Header.Set("Authorization", scheme+c.credential)
	}
	resp, err := w.client.Do(req)
	must(w.T, err)
	defer func() { _ = resp.Body.Close() }()
	a := roleAnswer{status: resp.StatusCode, to: resp.Header.Get("Location")}
	if resp.Header.Get("Content-Type") != "text/event-stream" { // which does not end
		text, err := io.ReadAll(resp.Body)
		must(w.T, err)
		a.body = string(text)
	}
	return a
}

// message returns a new message of a type of a service.
func (w *rolesWorld) message(d protoreflect.MessageDescriptor) proto.Message {
	w.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	must(w.T, err)
	return kind.New().Interface()
}

// call calls a method by gRPC.
func (w *rolesWorld) call(c *roleCaller, path, body string) roleAnswer {
	w.Helper()
	service, name, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	must(w.T, err)
	method := found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	in, out := w.message(method.Input()), w.message(method.Output())
	must(w.T, protojson.Unmarshal([]byte(body), in))
	ctx := w.Context()
	if c.credential != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.credential)
	}
	if method.IsStreamingServer() {
		err = w.stream(ctx, path, in, out)
	} else {
		err = w.grpc.Invoke(ctx, path, in, out)
	}
	text, merr := protojson.Marshal(out)
	must(w.T, merr)
	a := roleAnswer{status: http.StatusOK, body: string(text)}
	if err != nil {
		a.body += err.Error()
	}
	switch status.Code(err) {
	case codes.OK:
	case codes.Unauthenticated:
		a.status = http.StatusUnauthorized
	case codes.PermissionDenied:
		a.status = http.StatusForbidden
	case codes.NotFound:
		a.status = http.StatusNotFound
	case codes.InvalidArgument, codes.Unimplemented:
		a.status = http.StatusBadRequest
	default:
		a.status = http.StatusInternalServerError
	}
	return a
}

// stream opens a stream. One that stays open for a while was allowed.
func (w *rolesWorld) stream(ctx context.Context, path string, in, out proto.Message) error {
	w.Helper()
	ctx, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	s, err := w.grpc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	must(w.T, err)
	must(w.T, s.SendMsg(in))
	must(w.T, s.CloseSend())
	if err = s.RecvMsg(out); status.Code(err) == codes.DeadlineExceeded {
		return nil
	}
	return err
}

// ledger detects changes of stored data.
type ledger struct {
	t       *testing.T
	conn    *sql.Conn
	version int64
	move    func(context.Context) error // moves the journal, which happens at some time after
	queries map[string]string           // of all rows of each table
	digests map[string]string
}

func (w *rolesWorld) newLedger() *ledger {
	w.Helper()
	d := rawDatabase(w.T, w.app.config.Store.Data)
	w.Cleanup(func() { must(w.T, d.Close()) })
	conn, err := d.Conn(w.Context())
	must(w.T, err)
	w.Cleanup(func() { must(w.T, conn.Close()) })
	l := &ledger{t: w.T, conn: conn, move: w.app.db.MoveJournal, queries: map[string]string{}, digests: map[string]string{}}
	for _, table := range l.column("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
		if table == "meta" || table == "device_days" || table == "device_seen" {
			continue // written at some time after
		}
		// The same applies to when a key was used and when a device became silent.
		columns := l.column("SELECT name FROM pragma_table_info('" + table + "') WHERE name NOT IN ('used_at', 'silent_at')")
		l.queries[table] = "SELECT quote(" + strings.Join(columns, ") || ',' || quote(") + ") FROM " + table + " ORDER BY 1"
	}
	l.changed()
	return l
}

// written reports whether anything was written since the last call.
func (l *ledger) written() bool {
	l.t.Helper()
	must(l.t, l.move(l.t.Context()))
	var version int64
	must(l.t, l.conn.QueryRowContext(l.t.Context(), "PRAGMA data_version").Scan(&version))
	was := l.version
	l.version = version
	return version != was
}

// changed returns the tables that were written since the last call.
func (l *ledger) changed() (tables []string) {
	l.t.Helper()
	if !l.written() {
		return nil
	}
	for table, query := range l.queries {
		h := sha256.New()
		for _, row := range l.column(query) {
			_, _ = fmt.Fprintln(h, row) // a hash accepts everything
		}
		digest := hex.EncodeToString(h.Sum(nil))
		if digest != l.digests[table] {
			tables = append(tables, table)
			l.digests[table] = digest
		}
	}
	return tables
}

// of returns a digest of the stored data of a place.
func (l *ledger) of(p *rolesPlace) string {
	l.t.Helper()
	h := sha256.New()
	for _, table := range slices.Sorted(maps.Keys(l.queries)) {
		columns := l.column("SELECT name FROM pragma_table_info('" + table + "') WHERE name IN ('project_id', 'organization_id')")
		for _, column := range columns {
			key := p.project.Key
			if column == "organization_id" {
				key = p.organization.Key
			}
			before, after, _ := strings.Cut(l.queries[table], " ORDER BY ")
			for _, row := range l.column(fmt.Sprintf("%s WHERE %s = %d ORDER BY %s", before, column, key, after)) {
				_, _ = fmt.Fprintln(h, table, row) // a hash accepts everything
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (l *ledger) column(query string) (list []string) {
	l.t.Helper()
	rows, err := l.conn.QueryContext(l.t.Context(), query)
	must(l.t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		must(l.t, rows.Scan(&text))
		list = append(list, text)
	}
	must(l.t, rows.Err())
	return list
}
