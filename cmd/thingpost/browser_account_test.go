package main

import (
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestBrowserSignsInAndOut(t *testing.T) {
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, adminEnv(), "-data", t.TempDir())
			defer p.end(t, syscall.SIGTERM)
			b := newBrowser(t, p.url, scripts)
			b.open("/projects/new")
			b.at("/sign-in")
			b.signsIn("wrong horse battery")
			b.sees("Wrong email or password.")
			b.forgive("422")
			if got := value[string](b, `document.activeElement.name`); scripts && got != "password" {
				t.Errorf("the focus is on %q, want the first bad field", got)
			}
			b.fill("Password", "correct horse battery")
			b.press("Sign in")
			b.at("/projects/new") // the original target
			b.click("button[popovertarget=account]", "")
			b.press("Sign out")
			b.at("/sign-in")
			b.sees("You are signed out.")
			must(t, chromedp.Do(b.ctx, chromedp.NavigateBack()))
			b.at("/sign-in")
			b.open("/settings")
			b.at("/sign-in")
		})
	}
}
