package pages

import (
	"strings"

	"thingpost/views/ui"
)

// AnyChange is the event that tells an open page that anything has changed: for
// sections that show a bit of all.
const AnyChange = "changed"

// exampleDevice stands in commands while there is no device.
const exampleDevice = "door-sensor-1"

func (p FirstStepsPage) lead() string {
	if p.Key != "" {
		return "Three steps to the first delivery. Do each one here or in a terminal. The commands contain this project’s address and key."
	}
	return "Three steps to the first delivery. Do each one here or in a terminal. The commands contain this project’s address."
}

// api is the address of the project in the API, and what is below it.
func (p FirstStepsPage) api(below string) string {
	return p.URL + "/api/v1" + p.State.In.base() + below
}

func (p FirstStepsPage) addDevice() []ui.Token {
	return Curl(p.api("/devices"), orText(p.Key, "$API_KEY"), `{"id":"`+exampleDevice+`","name":"Door sensor 1"}`)
}

func (p FirstStepsPage) addWebhook() []ui.Token {
	return Curl(p.api("/webhooks"), orText(p.Key, "$API_KEY"), `{"description":"My service","type":"user","url":"https://example.com/hook"}`)
}

func (p FirstStepsPage) send() []ui.Token {
	return Curl(p.api("/devices/"+orText(p.State.Device, exampleDevice)+"/messages"), orText(p.Key, "$API_KEY"),
		`{"payload":{"door":"open","temp_c":-18.5}}`)
}

// Curl is a command for a terminal that posts JSON with a key. The key stands
// out: it is what a reader may have to fill in.
func Curl(address, key, body string) []ui.Token {
	return []ui.Token{
		{Text: "curl " + shellWord(address) + " \\\n  -H \"Authorization: Bearer "}, {Kind: ui.VarToken, Text: key},
		{Text: "\" \\\n  -d " + quoted(body)},
	}
}

// quoted writes a text in single quotes for a POSIX shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// shellWord writes an address for a shell, in quotes only where it needs them.
func shellWord(address string) string {
	if strings.ContainsAny(address, "&?*'\"$`\\;|<>() \t[]{}~#!") {
		return quoted(address)
	}
	return address
}

func (s FirstStepsState) title() string {
	if s.Messages > 0 {
		return "The first message"
	}
	return "Waiting for the first message"
}

// turn is the look of a step's button: the one whose turn it is stands out.
func turn(its bool) ui.Variant {
	if its {
		return ui.Primary
	}
	return ui.Outline
}
