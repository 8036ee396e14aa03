package static

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// lab is a colour in oklab, with its opacity.
type lab struct{ l, a, b, alpha float64 }

// theme holds the tokens of one theme by name.
type theme map[string]lab

var (
	tokenLine = regexp.MustCompile(`(?m)^\s*--([a-z-]+): light-dark\(oklch\(([^)]*)\), oklch\(([^)]*)\)\);`)
	mixLine   = regexp.MustCompile(`(?m)^\s*--([a-z-]+): color-mix\(in oklab, var\(--([a-z-]+)\) ([0-9.]+)%, transparent\);`)
)

// themes reads the tokens of the stylesheet's source.
func themes(t *testing.T) map[string]theme {
	t.Helper()
	css, err := os.ReadFile("css/app.src.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark := theme{}, theme{}
	for _, m := range tokenLine.FindAllStringSubmatch(string(css), -1) {
		light[m[1]], dark[m[1]] = oklch(t, m[2]), oklch(t, m[3])
	}
	for _, m := range mixLine.FindAllStringSubmatch(string(css), -1) {
		share, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, th := range []theme{light, dark} {
			c := th[m[2]]
			c.alpha = share / 100
			th[m[1]] = c
		}
	}
	return map[string]theme{"light": light, "dark": dark}
}

func oklch(t *testing.T, text string) lab {
	t.Helper()
	var l, c, h float64
	if _, err := fmt.Sscanf(text, "%g %g %g", &l, &c, &h); err != nil {
		t.Fatalf("oklch(%s): %v", text, err)
	}
	return lab{l, c * math.Cos(h*math.Pi/180), c * math.Sin(h*math.Pi/180), 1}
}

// mix is color-mix in oklab: a share of c, the rest of d.
func mix(c, d lab, share float64) lab {
	part := func(x, y float64) float64 { return x*share + y*(1-share) }
	return lab{part(c.l, d.l), part(c.a, d.a), part(c.b, d.b), 1}
}

// linear returns linear sRGB, clipped to what a screen shows.
func (c lab) linear() [3]float64 {
	cube := func(v float64) float64 { return v * v * v }
	l := cube(c.l + 0.3963377774*c.a + 0.2158037573*c.b)
	m := cube(c.l - 0.1055613458*c.a - 0.0638541728*c.b)
	s := cube(c.l - 0.0894841775*c.a - 1.2914855480*c.b)
	clip := func(v float64) float64 { return math.Min(math.Max(v, 0), 1) }
	return [3]float64{
		clip(4.0767416621*l - 3.3077115913*m + 0.2309699292*s),
		clip(-1.2684380046*l + 2.6097574011*m - 0.3413193965*s),
		clip(-0.0041960863*l - 0.7034186147*m + 1.7076147010*s),
	}
}

// over paints c, which may be translucent, on an opaque colour, as screens do:
// in sRGB with its gamma. It returns linear sRGB.
func (c lab) over(ground [3]float64) [3]float64 {
	encode := func(v float64) float64 {
		if v <= 0.0031308 {
			return 12.92 * v
		}
		return 1.055*math.Pow(v, 1/2.4) - 0.055
	}
	decode := func(v float64) float64 {
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	top := c.linear()
	for i := range top {
		top[i] = decode(encode(top[i])*c.alpha + encode(ground[i])*(1-c.alpha))
	}
	return top
}

// contrast is WCAG's ratio of two colours in linear sRGB.
func contrast(a, b [3]float64) float64 {
	luminance := func(c [3]float64) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }
	high, low := luminance(a), luminance(b)
	if high < low {
		high, low = low, high
	}
	return (high + 0.05) / (low + 0.05)
}

func TestContrastKnowsWhiteOnBlack(t *testing.T) {
	white, black := lab{1, 0, 0, 1}.linear(), lab{0, 0, 0, 1}.linear()
	if got := contrast(white, black); math.Abs(got-21) > 0.01 {
		t.Errorf("white on black is %.2f, want 21", got)
	}
	if got := contrast(lab{0.5, 0, 0, 1}.over(white), white); math.Abs(got-6.0) > 0.2 {
		t.Errorf("oklch(0.5 0 0) on white is %.2f, want about 6", got)
	}
}

func TestTextIsReadableInBothThemes(t *testing.T) {
	for name, th := range themes(t) {
		check := func(what, text string, ground [3]float64) {
			t.Helper()
			if got := contrast(th.token(t, text).linear(), ground); got < 4.5 {
				t.Errorf("%s: %s on %s is %.2f, less than 4.5", name, text, what, got)
			}
		}
		for _, ground := range []string{"background", "surface"} {
			base := th.token(t, ground).linear()
			for _, text := range []string{"foreground", "muted-foreground", "primary", "success", "warning", "danger", "info"} {
				check(ground, text, base)
			}
			hovered := th.token(t, "hover").over(base)
			for _, text := range []string{"foreground", "muted-foreground", "danger", "success", "warning", "info"} {
				check(ground+" under the pointer", text, hovered)
			}
			check(ground+" chosen", "foreground", th.token(t, "selected").over(base))
			check(ground+" chosen", "muted-foreground", th.token(t, "selected").over(base))
		}
		check("muted", "foreground", th.token(t, "muted").linear())
		check("muted", "muted-foreground", th.token(t, "muted").linear())
		check("primary", "primary-foreground", th.token(t, "primary").linear())
		check("primary under the pointer", "primary-foreground", th.token(t, "primary-hover").linear())
		for _, tone := range []string{"muted-foreground", "success", "warning", "danger", "info"} {
			tint := func(share float64) [3]float64 { return mix(th.token(t, tone), th.token(t, "surface"), share).linear() }
			check("its badge", tone, tint(0.09))
			check("an alert of "+tone, "foreground", tint(0.07))
			check("an alert of "+tone, "muted-foreground", tint(0.07))
			check("an alert of "+tone, "primary", tint(0.07))
		}
		check("a destructive button under the pointer", "danger", mix(th.token(t, "danger"), th.token(t, "surface"), 0.08).linear())
		check("a variable's tint", "primary", mixOn(th.token(t, "primary"), 0.10, th.token(t, "background").linear()))
	}
}

func TestControlsAndChartsStandOutInBothThemes(t *testing.T) {
	for name, th := range themes(t) {
		for _, ground := range []string{"background", "surface"} {
			for _, token := range []string{"control", "ring", "primary", "success", "warning", "danger", "info"} {
				if got := contrast(th.token(t, token).linear(), th.token(t, ground).linear()); got < 3 {
					t.Errorf("%s: %s on %s is %.2f, less than 3", name, token, ground, got)
				}
			}
		}
		// Charts stand on cards.
		for _, phase := range []string{"chart-ok", "chart-wait", "chart-bad", "phase-dns", "phase-connect", "phase-tls", "phase-wait",
			"phase-body"} {
			if got := contrast(th.token(t, phase).linear(), th.token(t, "surface").linear()); got < 3 {
				t.Errorf("%s: %s on surface is %.2f, less than 3", name, phase, got)
			}
		}
	}
}

func mixOn(c lab, alpha float64, ground [3]float64) [3]float64 {
	c.alpha = alpha
	return c.over(ground)
}

func (th theme) token(t *testing.T, name string) lab {
	t.Helper()
	c, ok := th[name]
	if !ok {
		t.Fatalf("no token --%s", name)
	}
	return c
}
