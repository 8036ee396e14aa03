package main

import (
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// mostTabs is how many elements a person would step through to reach one.
const mostTabs = 150

// focus describes the element with the focus.
type focus struct {
	Is   bool   // what is sought
	Mark bool   // the focus is visible
	Name string // for a failure
}

// reach presses the Tab key until the focus is on the only element with the name, see
// seek. The focus must be visible there.
func (b *browser) reach(selector, name string) {
	b.t.Helper()
	b.find(selector, name)
	for range mostTabs {
		f := js[focus](b, `(selector, name) => {
			const e = document.activeElement, root = [...document.querySelectorAll("dialog[open]")].pop() ?? document;
			const read = (e) => e?.getAttribute("aria-label") ?? e?.textContent;
			const names = [e.getAttribute("aria-label"), ...[...e.labels ?? []].map(read), e.matches("a, button, summary") ? e.textContent : ""];
			const same = name === "" || names.some((text) => text?.replace(/\s+/g, " ").trim() === name);
			// A row's link marks the whole row.
			const marks = [getComputedStyle(e), getComputedStyle(e, "::after"), ...[...e.labels ?? [], e.closest(".input-group")].filter((e) => `+
			`e).map((e) => getComputedStyle(e))];
			return {
				Is: e.matches(selector) && same && root.contains(e),
				Mark: marks.some((s) => (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none"),
				Name: e.outerHTML.slice(0, 200),
			};
		}`, selector, name)
		if f.Is {
			if !f.Mark {
				b.t.Errorf("nobody sees that this has the focus: %s", f.Name)
			}
			return
		}
		must(b.t, chromedp.Do(b.ctx, chromedp.KeyEvent(kb.Tab)))
	}
	b.t.Fatalf("%d steps with the Tab key do not reach %q (%s); %s shows:\n%s", mostTabs, name, selector, value[string](b, "location.href"),
		b.text())
}

// presses uses the focused element: Space for checkboxes, Enter for the rest. The key
// event includes its character, as on a keyboard: a handler that stops the key also
// stops the character.
func (b *browser) presses() {
	b.t.Helper()
	down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: "Enter", Code: "Enter", Text: "\r",
		WindowsVirtualKeyCode: 13}
	if value[bool](b, `document.activeElement.matches("input[type=checkbox], input[type=radio]")`) {
		down.Key, down.Code, down.Text, down.WindowsVirtualKeyCode = " ", "Space", " ", 32
	}
	up := down
	up.Type, up.Text = input.DispatchKeyEventTypeKeyUp, ""
	for _, p := range []input.DispatchKeyEventParams{down, up} {
		_, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, p)
		must(b.t, err)
	}
}
