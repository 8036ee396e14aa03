package api

import (
	"context"
	"net/http"
	"net/url"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// Rows of a page of an export: a message has up to 1 MiB, a delivery little.
const (
	exportDeliveries = 500
	exportMessages   = 20
)

// exportQuery reads the parameters of an export: the list's filters and the format,
// without a page.
func exportQuery(r *http.Request, filters []string) (url.Values, handlers.ExportFormat, error) {
	q, _, err := handlers.Query(r, append(filters, "format")...)
	if err != nil {
		return nil, "", err
	}
	var f iot.Faults
	for _, name := range []string{"limit", "cursor"} {
		f.Check(!q.Has(name), name, "cannot be used in an export, which is the whole list.")
	}
	if err := f.Err(); err != nil {
		return nil, "", err
	}
	format, err := handlers.ParseExportFormat(r)
	return q, format, err
}

func (s *server) exportDeliveries(w http.ResponseWriter, r *http.Request, c *caller) error {
	q, format, err := exportQuery(r, deliveryFilters())
	if err != nil {
		return err
	}
	f, err := deliveryFilterOf(q).parse(r.Context(), s, c.project.Key, "")
	if err != nil {
		return err
	}
	f.Limit = exportDeliveries
	e := handlers.Export[iot.Delivery]{Name: c.project.ID + "-deliveries", Format: format, Columns: handlers.DeliveryColumns(),
		Cells: handlers.DeliveryCells, Now: s.Now(), Clock: s.Now,
		Next: func(ctx context.Context) ([]iot.Delivery, bool, error) {
			page, err := s.DB.Deliveries(ctx, f)
			f.Before = page.Next
			return page.Items, !page.Next.IsZero(), err
		}}
	return e.Stream(w, r)
}

func (s *server) exportMessages(w http.ResponseWriter, r *http.Request, c *caller) error {
	q, format, err := exportQuery(r, messageFilters())
	if err != nil {
		return err
	}
	f, err := messageFilterOf(q).parse(r.Context(), s, c.project.Key, "")
	if err != nil {
		return err
	}
	f.Limit = exportMessages
	e := handlers.Export[iot.Message]{Name: c.project.ID + "-messages", Format: format, Columns: handlers.MessageColumns(),
		Cells: handlers.MessageCells, Now: s.Now(), Clock: s.Now,
		Next: func(ctx context.Context) ([]iot.Message, bool, error) {
			page, err := s.DB.Messages(ctx, f)
			f.Before = page.Next
			return page.Items, !page.Next.IsZero(), err
		}}
	return e.Stream(w, r)
}
