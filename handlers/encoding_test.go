package handlers_test

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func gzipped(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, part := range parts {
		if _, err := z.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// counted counts the bytes read from it.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

func TestPackedBodies(t *testing.T) {
	const limit = 1 << 20
	noise := make([]byte, limit)
	_, _ = rand.Read(noise)
	megabyte := bytes.Repeat([]byte("x"), limit)
	many := make([][]byte, 16)
	for i := range many {
		many[i] = megabyte
	}
	empty := gzipped(t)
	for name, c := range map[string]struct {
		body     []byte
		encoding string
		want     []byte
		code     iot.Code
		most     int // bytes of the body that can be read; 0 for all
	}{
		"nothing said":   {[]byte("{}"), "", []byte("{}"), "", 0},
		"identity":       {[]byte("{}"), "Identity , identity", []byte("{}"), "", 0},
		"gzip":           {gzipped(t, []byte("{}")), " GZIP", []byte("{}"), "", 0},
		"its old name":   {gzipped(t, []byte("{}")), "x-gzip", []byte("{}"), "", 0},
		"two members":    {append(gzipped(t, []byte("{")), gzipped(t, []byte("}"))...), "gzip", []byte("{}"), "", 0},
		"nothing in it":  {empty, "gzip", []byte{}, "", 0},
		"up to the last": {gzipped(t, megabyte), "gzip", megabyte, "", 0},
		"noise":          {gzipped(t, noise), "gzip", noise, "", 0},
		"one more":       {gzipped(t, megabyte, []byte("x")), "gzip", nil, iot.TooLarge, 0},
		"a bomb":         {gzipped(t, many...), "gzip", nil, iot.TooLarge, 64 << 10},
		"empty members":  {bytes.Repeat(empty, 16<<20/len(empty)), "gzip", nil, iot.TooLarge, limit + limit/64 + 64<<10},
		"twice":          {gzipped(t, gzipped(t, []byte("{}"))), "gzip, gzip", nil, iot.UnsupportedMediaType, 0},
		"another":        {[]byte("{}"), "zstd", nil, iot.UnsupportedMediaType, 0},
		"no gzip":        {[]byte("{}"), "gzip", nil, iot.Invalid, 0},
		"cut off":        {gzipped(t, megabyte)[:500], "gzip", nil, iot.Invalid, 0},
		"a wrong sum":    {append(gzipped(t, []byte("{}"))[:22], 1, 2, 3, 4), "gzip", nil, iot.Invalid, 0},
		"something else": {append(gzipped(t, []byte("{}")), "{}"...), "gzip", nil, iot.Invalid, 0},
	} {
		in := &counted{Reader: bytes.NewReader(c.body)}
		r := httptest.NewRequest(http.MethodPost, "/", in)
		if c.encoding != "" {
			r.Header.Set("Content-Encoding", c.encoding)
		}
		got, err := handlers.ReadBody(r, limit)
		if iot.CodeOf(err) != c.code || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %d bytes, %v; want %d, %q", name, len(got), err, len(c.want), c.code)
		}
		if c.most > 0 && in.n > c.most {
			t.Errorf("%s: %d bytes were read, want at most %d", name, in.n, c.most)
		}
	}
}

func TestPackedBodiesBesideEachOther(t *testing.T) {
	var g sync.WaitGroup
	for i := range 16 {
		g.Go(func() {
			want := []byte(strings.Repeat(string(rune('a'+i)), 1000*i))
			for range 20 {
				r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(gzipped(t, want)))
				r.Header.Set("Content-Encoding", "gzip")
				if got, err := handlers.ReadBody(r, 1<<20); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d: %d bytes, %v", i, len(got), err)
				}
			}
		})
	}
	g.Wait()
}
