package main

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// pictures makes the README's pictures again: go test ./cmd/thingpost -run
// TestBrowserDemo -pictures ../../static/readme
var pictures = flag.String("pictures", "", "folder for the README's pictures; none are made if empty")

// TestBrowserDemo views the example project as a newcomer, with the password that the
// demo prints.
func TestBrowserDemo(t *testing.T) {
	p := newProcess(t, nil, "demo", "-listen", "127.0.0.1:0", "-pace", "8")
	begin(t, p)
	var said []string
	for len(said) < 3 && p.out.Scan() {
		said = append(said, p.out.Text())
	}
	if len(said) < 3 {
		t.Fatalf("the demo did not start: %q %s", said, p.stderr.String())
	}
	_, home, _ := strings.Cut(said[0], " example project at ")
	who, password, _ := strings.Cut(strings.TrimPrefix(said[1], "Sign in as "), " with the password ")
	project, err := url.Parse(home)
	must(t, err)

	b := newBrowser(t, strings.TrimSuffix(home, project.Path), true)
	_, err = chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 1440, Height: 900,
		DeviceScaleFactor: 1})
	must(t, err)
	b.open("/sign-in")
	b.fill("Email", who)
	b.fill("Password", password)
	b.press("Sign in")
	b.await("it is signed in", func() bool { return value[string](b, "location.pathname") != "/sign-in" })

	// There is little to see until the receiver has failed too.
	b.await("one is tried again", func() bool {
		b.open(project.Path + "/deliveries?attempt=2")
		return value[int](b, `document.querySelectorAll("a.row-link").length`) > 0
	})
	tried := value[string](b, `document.querySelector("a.row-link").getAttribute("href")`)
	b.open(project.Path + "/deliveries")
	b.await("deliveries arrive", func() bool { return value[int](b, `document.querySelectorAll("a.row-link").length`) >= 40 })
	b.takes("log")
	b.open(project.Path)
	b.sees("Deliveries by hour", "Climate dashboard", "Needs attention")
	b.takes("overview")
	b.open(project.Path + "/webhooks")
	b.sees("4 of 5 webhooks", "Paused by you")
	b.takes("webhooks")
	b.open(tried)
	b.sees("Timeline", "Attempt 2", "Why this webhook")
	b.takes("delivery")
	b.hearOut() // before the page loses its stream of events
	if status := p.end(t, syscall.SIGTERM); status != 0 {
		t.Errorf("the demo stopped with status %d: %s", status, p.stderr.String())
	}
}

// takes makes a picture of the window, if pictures are requested.
func (b *browser) takes(name string) {
	b.t.Helper()
	if *pictures == "" {
		return
	}
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	must(b.t, err)
	picture, err := png.Decode(bytes.NewReader(shot))
	must(b.t, err)
	var small bytes.Buffer
	must(b.t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewColours(picture)))
	must(b.t, os.WriteFile(filepath.Join(*pictures, name+".png"), small.Bytes(), 0o600))
}

// fewColours returns a picture with its 256 most frequent colours; others become the
// nearest of them. Pages have few colours, and a third of the size results.
func fewColours(picture image.Image) image.Image {
	counts := map[color.RGBA]int{}
	each(picture, func(_, _ int, c color.RGBA) { counts[c]++ })
	most := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return counts[b] - counts[a] })
	var colours color.Palette
	for _, c := range most[:min(len(most), 256)] {
		colours = append(colours, c)
	}
	nearest := map[color.RGBA]uint8{}
	small := image.NewPaletted(picture.Bounds(), colours)
	each(picture, func(x, y int, c color.RGBA) {
		i, ok := nearest[c]
		if !ok {
			i = uint8(colours.Index(c))
			nearest[c] = i
		}
		small.SetColorIndex(x, y, i)
	})
	return small
}

func each(picture image.Image, do func(x, y int, c color.RGBA)) {
	r := picture.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c, _ := color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)
			do(x, y, c)
		}
	}
}
