package pages

import (
	"strconv"

	"github.com/a-h/templ"
)

// headerSwap makes a button of a header's row answer into the section alone.
func headerSwap(action string) templ.Attributes {
	return templ.Attributes{"formnovalidate": true, "hx-post": action, "hx-target": "#" + WebhookHeadersID, "hx-swap": "outerHTML"}
}

// maskSwap makes a button of the field mask answer into its section alone.
func maskSwap(action string) templ.Attributes {
	return templ.Attributes{"formnovalidate": true, "hx-post": action, "hx-target": "#" + WebhookMaskID, "hx-swap": "outerHTML"}
}

// previewAttrs make the preview follow the form.
func previewAttrs(p WebhookPreview) templ.Attributes {
	if p.Look != "" {
		return nil
	}
	return templ.Attributes{
		"hx-post": p.action(),
		"hx-trigger": "change delay:50ms, change from:#" + WebhookFormID + " delay:150ms, input from:#" + WebhookFormID + " delay:600ms, " +
			WebhookPreviewEvent + " from:body",
		"hx-include": "#" + WebhookFormID,
		"hx-target":  "this",
		"hx-swap":    "outerHTML",
		"hx-sync":    "this:replace",
	}
}

// previewButton makes the button that asks for a preview where no script does.
func previewButton(p WebhookPreview) templ.Attributes {
	if p.Look != "" {
		return templ.Attributes{"form": webhookLookID}
	}
	return templ.Attributes{"form": WebhookFormID, "formaction": p.action()}
}

// headerAttrs are the attributes that name and value of a header share.
func headerAttrs(p WebhookFormPage, i int, part string) templ.Attributes {
	name := HeaderField(i, part)
	attrs := templ.Attributes{
		"id": name, "name": name, "value": p.Form.Raw(name), "autocomplete": "off", "spellcheck": "false", "autocapitalize": "none",
		"aria-label": capital(part) + " of header " + strconv.Itoa(i+1),
		"autofocus":  p.first() == name || part == "name" && p.HeaderFocus == i+1,
	}
	if p.Form.Error(name) != "" {
		attrs["aria-invalid"], attrs["aria-describedby"] = "true", HeaderField(i, "row")+"-error"
	}
	return attrs
}

// headerFault is what is wrong with a header, the name before the value.
func headerFault(p WebhookFormPage, i int) string {
	if e := p.Form.Error(HeaderField(i, "name")); e != "" {
		return e
	}
	return p.Form.Error(HeaderField(i, "value"))
}

func decimal() templ.Attributes { return templ.Attributes{"inputmode": "decimal"} }

func pathsAttr() templ.Attributes { return templ.Attributes{"list": webhookPathsID} }

func listAttr() templ.Attributes { return templ.Attributes{"list": webhookDevicesID} }
