package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"thingpost/db"
	"thingpost/internal/lorawan/wire"
)

// storeKey is the encryption key of a running server.
func storeKey(t *testing.T, data string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(data, db.KeyFileName))
	must(t, err)
	return strings.TrimSpace(string(b))
}

// refused sends secrets where they are refused: the answers must not contain them.
func (r *reader) refused(secrets canaries) {
	r.t.Helper()
	v := visitor(r.t, r.url)
	wrong, session := secrets["wrong password"], r.session().String()
	for i, s := range []seen{
		v.tries("POST", "/sign-in", asks("ada@example.org", wrong)),
		v.tries("POST", "/settings/password", neturl.Values{"current": {wrong}, "password": {wrong}}, "Cookie", session),
		v.tries("POST", "/projects/canaries/webhooks/new", neturl.Values{"url": {"ftp://x"}, "headers.0.name": {"Host"},
			"headers.0.value": {"•••"}, "headers.0.secret": {"on"}, "header_rows": {"1"}}, "Cookie", session),
		v.tries("GET", "/api/v1/projects", nil, "Authorization", "Bearer "+wrong),
		v.tries("GET", "/api/v1/projects", nil, "Authorization", "Basic "+wrong),
		v.tries("POST", "/messages", neturl.Values{}, "Authorization", "Thing "+wrong),
		v.tries("POST", "/in/tts/canaries", neturl.Values{}, "Authorization", "Bearer "+wrong),
		v.tries("GET", "/api/v3/as/webhooks/canaries", nil, "Authorization", "Bearer "+wrong),
		v.tries("GET", "/metrics", nil, "Authorization", "Bearer "+wrong),
		v.tries("GET", "/setup?token="+neturl.QueryEscape(wrong), nil),
		v.tries("GET", "/settings", nil, "Cookie", "thingpost="+neturl.QueryEscape(wrong), "HX-Request", "true"),
	} {
		if s.status < 400 {
			r.t.Errorf("try %d is not refused: %d", i, s.status)
		}
		secrets.search(r.t, "a refusal", s.body+fmt.Sprint(s.header))
	}
}

// makesEmbed creates a link to a project's log, and returns its path.
func (r *reader) makesEmbed(project string) string {
	r.t.Helper()
	s := r.tries("POST", project+"/embeds", neturl.Values{"name": {"Portal"}, "origins": {"https://portal.example"}, "days": {"30"}})
	if page := s.header.Get("Location"); page != "" {
		s = r.tries("GET", page, nil)
	}
	path := regexp.MustCompile(`/embed/[^"?& <]+`).FindString(s.body)
	if path == "" {
		r.t.Fatalf("there is no link to the embedded log: %d %s", s.status, s.body)
	}
	return path
}

// searchDoors searches the answers of the dialects, by REST and gRPC, and the events of
// open pages.
func (c canaries) searchDoors(t *testing.T, api *apiClient, key, grpcAddress string, r *reader) {
	t.Helper()
	const everything = "?field_mask=base_url,headers,format,template_ids,template_fields,downlink_api_key,uplink_message,health_status," +
		"queue,paused"
	for _, path := range []string{"/api/v3/as/webhooks/canaries" + everything, "/api/v3/as/webhooks/canaries/erp" + everything,
		"/api/v3/as/webhooks/canaries/local" + everything,
		"/api/v3/as/webhook-templates", "/api/v3/applications/canaries/api-keys", "/api/v3/as/applications/canaries/devices/probe/down"} {
		c.search(t, path, api.text(path, key))
	}
	var project struct{ UUID string }
	api.call("GET", "/projects/canaries", nil, 200, &project)
	for _, path := range []string{"/groups/" + project.UUID + "/webhooks", "/groups/" + project.UUID + "/things", "/groups/" + project.UUID,
		"/orgs", "/groups"} {
		c.search(t, path, api.text(path, api.token))
	}
	conn, err := grpc.NewClient(grpcAddress, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer func() { _ = conn.Close() }()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+key)
	mask := &fieldmaskpb.FieldMask{Paths: []string{"headers", "template_fields", "downlink_api_key", "uplink_message", "health_status"}}
	hooks, err := wire.NewApplicationWebhookRegistryClient(conn).List(ctx,
		&wire.ListApplicationWebhooksRequest{ApplicationIds: &wire.ApplicationIdentifiers{ApplicationId: "canaries"}, FieldMask: mask})
	must(t, err)
	if len(hooks.GetWebhooks()) < 3 {
		t.Errorf("gRPC lists %d webhooks", len(hooks.GetWebhooks()))
	}
	c.search(t, "the answer by gRPC", prototext.Format(hooks))
	_, err = wire.NewApplicationWebhookRegistryClient(conn).List(metadata.AppendToOutgoingContext(t.Context(), "authorization",
		"Bearer "+c["wrong password"]),
		&wire.ListApplicationWebhooksRequest{ApplicationIds: &wire.ApplicationIdentifiers{ApplicationId: "canaries"}})
	if err == nil {
		t.Error("a wrong key opens gRPC")
	} else {
		c.search(t, "the refusal by gRPC", err.Error())
	}
	c.search(t, "the event stream", r.hears(api))
}

// hears returns the events of the project's open page during an action.
func (r *reader) hears(api *apiClient) string {
	r.t.Helper()
	ctx, stop := context.WithCancel(r.t.Context())
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/projects/canaries/events", http.NoBody)
	must(r.t, err)
	resp, err := r.client.Do(req)
	must(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	api.call("POST", "/projects/canaries/devices/probe/messages", map[string]any{"payload": 3}, 202, nil)
	var text strings.Builder
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "deliveries") {
			return text.String()
		}
	}
	r.t.Errorf("the page heard %q and no more: %v", text.String(), lines.Err())
	return text.String()
}
