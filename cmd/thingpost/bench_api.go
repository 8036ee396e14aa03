package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// The account of a measured server.
const (
	benchEmail    = "bench@localhost.example"
	benchPassword = "only for a measurement"
)

// benchAPI is the native API of a server of any build, as its administrator.
type benchAPI struct {
	url, token string
	client     *http.Client
}

func benchSignIn(ctx context.Context, client *http.Client, url string) (*benchAPI, error) {
	a := &benchAPI{url: url, client: client}
	var made struct{ Token string }
	err := a.post(ctx, "/tokens", map[string]string{"email": benchEmail, "password": benchPassword}, &made)
	a.token = made.Token
	return a, err
}

// post sends a body as JSON (nil for none), and reads the answer, which must be a 2xx.
func (a *benchAPI) post(ctx context.Context, path string, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	got, err := benchSend(ctx, a.client, http.MethodPost, a.url+"/api/v1"+path, a.token, text)
	if err != nil {
		return err
	}
	if got.status/100 != 2 {
		return fmt.Errorf("POST %s: answer %d: %s", path, got.status, got.body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(got.body, into)
}

// get reads what must be there.
func (a *benchAPI) get(ctx context.Context, path string) error {
	got, err := benchSend(ctx, a.client, http.MethodGet, a.url+"/api/v1"+path, a.token, nil)
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("GET %s: answer %d: %s", path, got.status, got.body)
	}
	return err
}

func (a *benchAPI) project(ctx context.Context, id string) error {
	return a.post(ctx, "/projects", map[string]string{"id": id, "name": id}, nil)
}

// webhooks creates n webhooks, hook-1 and so on, for a place of the receiver.
func (a *benchAPI) webhooks(ctx context.Context, project, place string, n int) error {
	for i := range n {
		id := "hook-" + strconv.Itoa(i+1)
		if err := a.post(ctx, "/projects/"+project+"/webhooks", map[string]any{"id": id, "description": id, "type": "user",
			"url": place + "/" + project + "/" + id, "payload_only": true, "settings": map[string]int{"timeout_ms": 30_000}}, nil); err != nil {
			return err
		}
	}
	return nil
}

// device creates a device and returns its key.
func (a *benchAPI) device(ctx context.Context, project, id string) (string, error) {
	var made struct{ Key string }
	err := a.post(ctx, "/projects/"+project+"/devices", map[string]string{"id": id}, &made)
	return made.Key, err
}

// key creates a key of a project with all rights.
func (a *benchAPI) key(ctx context.Context, project string) (string, error) {
	var made struct{ Key string }
	err := a.post(ctx, "/projects/"+project+"/keys", map[string]any{"name": "Bench", "rights": []string{"RIGHT_APPLICATION_ALL"}}, &made)
	return made.Key, err
}

// benchAnswer is the answer to a sender.
type benchAnswer struct {
	status     int
	body       []byte
	retryAfter time.Duration
}

// benchSend sends a request with JSON and a bearer token.
func benchSend(ctx context.Context, client *http.Client, method, url, key string, body []byte) (benchAnswer, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return benchAnswer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := client.Do(r)
	if err != nil {
		return benchAnswer{}, err
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return benchAnswer{resp.StatusCode, answer, time.Duration(seconds) * time.Second}, err
}
