// Package static holds the files that browsers fetch: the built stylesheet,
// scripts, the icon sprite and the favicon. They are embedded, and each is
// served under a name that carries a hash of its content, so that a browser
// may keep it for ever. The package knows nothing else of the program. Start
// with Path, which pages use, and Handler, which answers them.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// Prefix is the start of every path that Handler serves.
const Prefix = "/static/"

//go:embed css/app.css js/*.js icons.svg favicon.svg LICENSES.md
var embedded embed.FS

// file is an embedded file, ready to be sent.
type file struct {
	contentType   string
	plain         []byte
	gzipped       []byte // nil where compression gains nothing
	plainLength   string
	gzippedLength string
}

// files is everything served: the hashed path of each name, and the file of
// each hashed path. It is made once and never changed.
type files struct {
	paths map[string]string
	files map[string]*file
}

var load = sync.OnceValue(func() *files {
	all, err := read(embedded)
	if err != nil {
		panic("static: " + err.Error()) // the files are part of the binary
	}
	return all
})

// Path returns the URL path of a file, such as "/static/css/app.1f0c2a9b7d3e.css"
// for "css/app.css". It panics if there is no such file: names are constants,
// and each page's test meets them.
func Path(name string) string {
	p, ok := load().paths[name]
	if !ok {
		panic("static: no file " + strconv.Quote(name))
	}
	return p
}

// Handler serves the files below Prefix to GET and HEAD, with leave to keep
// them for a year, and 404 for anything else, also for a hash of an older
// build. Compression happens once, on the first use. It is safe for
// concurrent use.
func Handler() http.Handler {
	all := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		f, ok := all.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		f.send(w, r)
	})
}

func (f *file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	body, length := f.plain, f.plainLength
	if f.gzipped != nil && AcceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body, length = f.gzipped, f.gzippedLength
	}
	h.Set("Content-Length", length)
	if r.Method == http.MethodHead {
		return
	}
	// A reader who went away is no one's concern.
	_, _ = w.Write(body)
}

// AcceptsGzip reports whether an Accept-Encoding header allows gzip, that is,
// names it with a weight other than 0.
func AcceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, weighted := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(params, " ", "")), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		return !weighted || err == nil && weight > 0
	}
	return false
}

// read prepares all files of a file system.
func read(fsys fs.FS) (*files, error) {
	all := &files{paths: map[string]string{}, files: map[string]*file{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		f, err := prepare(name, content)
		if err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(name)
		hashed := Prefix + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		all.paths[name] = hashed
		all.files[hashed] = f
		return nil
	})
	return all, err
}

// prepare finds a file's type and compresses it.
func prepare(name string, content []byte) (*file, error) {
	types := map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
		".md":  "text/plain; charset=utf-8",
	}
	contentType, ok := types[path.Ext(name)]
	if !ok {
		return nil, fmt.Errorf("no content type for %q", path.Ext(name))
	}
	var buf bytes.Buffer
	zw, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zw.Write(content); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	f := &file{contentType: contentType, plain: content, plainLength: strconv.Itoa(len(content))}
	if buf.Len() < len(content) {
		f.gzipped, f.gzippedLength = buf.Bytes(), strconv.Itoa(buf.Len())
	}
	return f, nil
}
