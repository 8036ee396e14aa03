package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// answer is what came of a request, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func get(t *testing.T, method, path, encoding string) answer {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	res := w.Result()
	defer res.Body.Close()
	return answer{res.StatusCode, res.Header, body(t, res.Body)}
}

func body(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEachFileIsServedUnderItsHash(t *testing.T) {
	types := map[string]string{
		"css/app.css": "text/css; charset=utf-8", "js/app.js": "text/javascript; charset=utf-8",
		"js/htmx.min.js": "text/javascript; charset=utf-8",
		"js/live.js":     "text/javascript; charset=utf-8", "icons.svg": "image/svg+xml", "favicon.svg": "image/svg+xml",
		"LICENSES.md": "text/plain; charset=utf-8",
	}
	for name, contentType := range types {
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(filepath.FromSlash(name))
			if err != nil {
				t.Fatal(err)
			}
			path := Path(name)
			ext := filepath.Ext(name)
			if !regexp.MustCompile(`^/static/` + regexp.QuoteMeta(strings.TrimSuffix(name, ext)) + `\.[0-9a-f]{12}` + regexp.QuoteMeta(ext) +
				`$`).MatchString(path) {
				t.Errorf("path is %q", path)
			}

			plain := get(t, "GET", path, "")
			if got := plain.body; !bytes.Equal(got, want) {
				t.Errorf("plain body differs: %d bytes, want %d", len(got), len(want))
			}
			for key, value := range map[string]string{
				"Content-Type": contentType, "Cache-Control": "public, max-age=31536000, immutable",
				"X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding", "Content-Encoding": "",
			} {
				if got := plain.header.Get(key); got != value {
					t.Errorf("%s is %q, want %q", key, got, value)
				}
			}

			zipped := get(t, "GET", path, "br, gzip;q=0.8")
			if zipped.header.Get("Content-Encoding") != "gzip" {
				t.Fatalf("not compressed")
			}
			zr, err := gzip.NewReader(bytes.NewReader(zipped.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := body(t, zr); !bytes.Equal(got, want) {
				t.Errorf("compressed body differs")
			}
		})
	}
}

func TestWhatIsNotServed(t *testing.T) {
	hashed := Path("css/app.css")
	for _, path := range []string{
		"/static/css/app.css", "/static/", "/static/css/app.000000000000.css", "/static/css/app.src.css", "/static/css/package.json",
		"/static/readme/overview.png", hashed + "/", "/static/../static.go",
	} {
		if res := get(t, "GET", path, ""); res.status != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, res.status)
		}
	}
	if res := get(t, "POST", hashed, ""); res.status != http.StatusMethodNotAllowed || res.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", res.status, res.header.Get("Allow"))
	}
	head := get(t, "HEAD", hashed, "")
	if head.status != http.StatusOK || head.header.Get("Content-Length") == "" || len(head.body) > 0 {
		t.Errorf("HEAD: %d, Content-Length %q", head.status, head.header.Get("Content-Length"))
	}
}

func TestPathOfAnUnknownNamePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Path("css/none.css")
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "br, gzip": true, "GZIP ; q=0.5": true, "gzip;q=0": false, "gzip; q=0.000": false, "br": false,
		"x-gzip": false, "gzip;q=nonsense": false, "identity, *;q=0": false,
	} {
		if got := AcceptsGzip(header); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestStylesheetAsksForNothingElse(t *testing.T) {
	css, err := os.ReadFile("css/app.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []string{"data:", "url(", "@import", "http://"} {
		if i := bytes.Index(css, []byte(forbidden)); i >= 0 {
			t.Errorf("holds %q: …%s…", forbidden, css[max(i-40, 0):min(i+40, len(css))])
		}
	}
}

func TestScriptIsSafeUnderAStrictPolicy(t *testing.T) {
	var js []byte
	for _, name := range []string{"js/app.js", "js/live.js", "js/keys.js"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		js = append(js, text...)
	}
	for _, forbidden := range []string{"eval(", "new Function", "innerHTML", "outerHTML", "insertAdjacentHTML", ".style", "localStorage",
		"document.write"} {
		if bytes.Contains(js, []byte(forbidden)) {
			t.Errorf("holds %q", forbidden)
		}
	}
}

// A first paint takes at most 60 KB; the page itself needs some of it.
func TestFirstPaintFitsItsBudget(t *testing.T) {
	const budget = 45_000
	sum := 0
	for _, name := range []string{"css/app.css", "js/htmx.min.js", "js/app.js", "js/live.js", "icons.svg"} {
		n := len(get(t, "GET", Path(name), "gzip").body)
		t.Logf("%s: %d bytes", name, n)
		sum += n
	}
	if sum > budget {
		t.Errorf("stylesheet, scripts and icons are %d bytes compressed, more than %d", sum, budget)
	}
}

func TestVendoredScriptsAreWhatLicensesSays(t *testing.T) {
	licences, err := os.ReadFile("LICENSES.md")
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("js/*.min.js")
	if err != nil || len(names) == 0 {
		t.Fatal("no vendored scripts", err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if line := hex.EncodeToString(sum[:]) + "  " + filepath.ToSlash(name); !strings.Contains(string(licences), line) {
			t.Errorf("LICENSES.md lacks %q", line)
		}
	}
}

func TestLockFileRecordsNoDownloadAddress(t *testing.T) {
	lock, err := os.ReadFile("css/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(lock, []byte(`"resolved"`)) || bytes.Contains(lock, []byte("https://registry")) {
		t.Error("css/package-lock.json holds download addresses; css/.npmrc keeps npm from writing them")
	}
}
