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
	NDJSON ExportFormat = "ndjson" // an item as JSON a line, as the API lists it
	CSV    ExportFormat = "csv"    // RFC 4180, with a line of names
)

// ParseExportFormat reads what a request asks for: the parameter format, or else
// the header Accept; NDJSON where neither names one. Invalid for another format.
func ParseExportFormat(r *http.Request) (ExportFormat, error) {
	switch f := ExportFormat(r.URL.Query().Get("format")); f {
	case NDJSON, CSV:
		return f, nil
	case "":
	default:
		return "", iot.FieldError("format", "must be ndjson or csv.")
	}
	if accept := r.Header.Get("Accept"); strings.Contains(accept, "text/csv") {
		return CSV, nil
	}
	return NDJSON, nil
}

// Export is a list that goes out as a file, however long it is.
type Export[T any] struct {
	Name    string // of the file, before the date: "greenhouse-north-deliveries"
	Format  ExportFormat
	Columns []string          // names of the cells, for CSV
	Cells   func(*T) []string // of one item
	Now     time.Time
	Clock   func() time.Time // of the connection's deadlines
	// Next returns the next page, and whether there may be more after it.
	Next func(ctx context.Context) (page []T, more bool, err error)
}

// exportTimeout is how long a reader may take for a page.
const exportTimeout = time.Minute

// Stream sends the list page by page, each as soon as it is read. It holds no
// more than a page, and ends when the reader goes away. A failure before the
// first byte is returned; a later one cuts the connection off, so that half a
// list is not taken for a whole one.
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
	defer func() { _ = c.SetWriteDeadline(time.Time{}) }() // the connection's next answer has none
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
			return nil // the reader has gone
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
	_ = w.Write(guarded) // a buffer takes it
	w.Flush()
}

var plainNumber = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// guardCell keeps a spreadsheet from taking a device's text for a formula: what
// begins like one gets an apostrophe before it, as OWASP advises. Numbers stay
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
