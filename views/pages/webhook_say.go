package pages

import (
	"context"
	"io"

	"github.com/a-h/templ"
)

// say writes words and times one after the other with nothing between them but
// what they hold: in markup, line breaks would come before full stops.
func say(parts ...templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		for _, part := range parts {
			if err := part.Render(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// words are a part of say, escaped as everything else.
func words(s string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, templ.EscapeString(s))
		return err
	})
}
