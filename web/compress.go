package web

import (
	"compress/gzip"
	"net/http"
	"strings"

	"thingpost/static"
)

// compress sends the dashboard's HTML in gzip to clients that accept it. Other answers,
// such as exports and live events, stay unchanged. No page has a lasting secret beside
// text that another site could choose: a secret is shown once, to the person who asked
// for it.
func compress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead || !static.AcceptsGzip(r.Header.Get("Accept-Encoding")) {
			next.ServeHTTP(w, r)
			return
		}
		c := &compressor{ResponseWriter: w}
		defer c.close()
		next.ServeHTTP(c, r)
	})
}

// compressor compresses answers that are HTML.
type compressor struct {
	http.ResponseWriter
	begun bool
	gzip  *gzip.Writer // nil if nothing is compressed
}

func (c *compressor) WriteHeader(status int) {
	h := c.Header()
	if !c.begun && status >= http.StatusOK {
		c.begun = true
		// A redirect's few words gain nothing, and some answers have no body.
		if (status < http.StatusMultipleChoices || status >= http.StatusBadRequest) && status != http.StatusNoContent &&
			strings.HasPrefix(h.Get("Content-Type"), "text/html") && h.Get("Content-Encoding") == "" {
			h.Add("Vary", "Accept-Encoding")
			h.Set("Content-Encoding", "gzip")
			h.Del("Content-Length")
			c.gzip = gzip.NewWriter(c.ResponseWriter)
		}
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *compressor) Write(b []byte) (int, error) {
	if !c.begun {
		c.WriteHeader(http.StatusOK)
	}
	if c.gzip != nil {
		return c.gzip.Write(b)
	}
	return c.ResponseWriter.Write(b)
}

// close writes buffered bytes. A reader that is gone does not matter.
func (c *compressor) close() {
	if c.gzip != nil {
		_ = c.gzip.Close()
	}
}

// Unwrap lets http.ResponseController flush and set deadlines.
func (c *compressor) Unwrap() http.ResponseWriter { return c.ResponseWriter }
