package handlers

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"thingpost/internal/iot"
)

// ExportFormat is the form of an exported list.
type ExportFormat string

// The formats.
const (
	NDJSON ExportFormat = "ndjson" // one item as JSON per line, as in the API's lists
	CSV    ExportFormat = "csv"    // RFC 4180, with a header line
)

// ParseExportFormat reads the requested format from the parameter format, otherwise
// from the header Accept. The default is NDJSON. Invalid for another format.
func ParseExportFormat(r *http.Request) (ExportFormat, error) {
	switch f := ExportFormat(r.URL.Query().Get("format")); f {
	case NDJSON, CSV:
		return f, nil
	case "":
	default:
		return "", iot.FieldError("format", "must be ndjson or csv.")
	}
	if accept := r.Header.Get("Accept"); strings.Contains(strings.ToLower(accept), "text/csv") {
		return CSV, nil
	}
	return NDJSON, nil
}

// Export is a list of any length that is sent as a file.
type Export[T any] struct {
	Name    string // of the file, before the date: "greenhouse-north-deliveries"
	Format  ExportFormat
	Columns []string          // column names, for CSV
	Cells   func(*T) []string // of one item
	Now     time.Time
	Clock   func() time.Time // for the connection's deadlines
	// Next returns the next page, and whether there can be more after it.
	Next func(ctx context.Context) (page []T, more bool, err error)
}

// exportTimeout is how long a reader can take for a page.
const exportTimeout = time.Minute

// Stream sends the list page by page, each as soon as it is read. It has at most a page
// in memory, and ends when the reader goes away. It returns a failure before the first
// byte. A later failure cuts the connection, so that a partial list is not taken for a
// complete one.
func (e *Export[T]) Stream(w http.ResponseWriter, r *http.Request) error {
	page, more, err := e.Next(r.Context())
	if err != nil {
		return err
	}
	e.head(w)
	if r.Method == http.MethodHead {
		return nil
	}
	c := http.NewResponseController(w)
	defer func() { _ = c.SetWriteDeadline(time.Time{}) }() // the connection's next answer has no deadline
	var b bytes.Buffer
	if e.Format == CSV {
		e.line(&b, e.Columns)
	}
	for {
		for i := range page {
			if err := e.item(&b, &page[i]); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if err := c.SetWriteDeadline(e.Clock().Add(exportTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return nil
		}
		if _, err := w.Write(b.Bytes()); err != nil || c.Flush() != nil || r.Context().Err() != nil {
			return nil // the reader is gone
		}
		b.Reset()
		if !more {
			return nil
		}
		if page, more, err = e.Next(r.Context()); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func (e *Export[T]) head(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", map[ExportFormat]string{NDJSON: "application/x-ndjson", CSV: "text/csv; charset=utf-8"}[e.Format])
	h.Set("Content-Disposition", `attachment; filename="`+e.Name+"-"+e.Now.UTC().Format("2006-01-02")+"."+string(e.Format)+`"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Add("Vary", "Accept")
}

func (e *Export[T]) item(b *bytes.Buffer, v *T) error {
	if e.Format == CSV {
		e.line(b, e.Cells(v))
		return nil
	}
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func (e *Export[T]) line(b *bytes.Buffer, cells []string) {
	guarded := make([]string, len(cells))
	for i, cell := range cells {
		guarded[i] = guardCell(strings.ToValidUTF8(cell, "\uFFFD"))
	}
	w := csv.NewWriter(b)
	w.UseCRLF = true
	_ = w.Write(guarded) // a buffer accepts it
	w.Flush()
}

var plainNumber = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// guardCell prevents a spreadsheet from reading a device's text as a formula: it puts
// an apostrophe before text that looks like one, as OWASP advises. Numbers stay
// numbers.
func guardCell(s string) string {
	if s == "" || !strings.ContainsRune("=+-@\t\r\n|", rune(s[0])) || plainNumber.MatchString(s) {
		return s
	}
	return "'" + s
}

// DeliveryColumns are the names of DeliveryCells.
func DeliveryColumns() []string {
	return []string{"id", "created_at", "message", "device", "webhook", "type", "channel", "status", "trigger", "attempt_count", "code",
		"error", "error_detail",
		"duration_ms", "size_bytes", "due_at", "ended_at"}
}

// DeliveryCells are a delivery's values for a table.
func DeliveryCells(d *iot.Delivery) []string {
	code := ""
	if d.Code != 0 {
		code = strconv.Itoa(int(d.Code))
	}
	return []string{d.ID.String(), d.CreatedAt.String(), d.MessageID.String(), d.Device, d.Webhook, string(d.Type), d.Channel,
		string(d.Status), string(d.Trigger),
		strconv.Itoa(d.AttemptCount), code, string(d.Error), d.ErrorDetail, strconv.FormatInt(d.DurationMS, 10),
		strconv.FormatInt(d.SizeBytes, 10), d.DueAt.String(), d.EndedAt.String()}
}

// MessageColumns are the names of MessageCells.
func MessageColumns() []string {
	return []string{"id", "received_at", "device", "type", "channel", "sender_id", "payload", "invalid_utf8"}
}

// MessageCells are a message's values for a table.
func MessageCells(m *iot.Message) []string {
	invalid := ""
	if m.InvalidUTF8 {
		invalid = "true"
	}
	return []string{m.ID.String(), m.ReceivedAt.String(), m.Device, string(m.Type), m.Channel, m.SenderID, string(m.Payload), invalid}
}
