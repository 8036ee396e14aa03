package dashboard

import (
	"context"
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// exportRoutes are the lists as files.
func (s *site) exportRoutes() []route {
	return []route{
		{get, "/projects/{project}/deliveries/export", inProject, iot.ReadTraffic, s.exportDeliveries},
		{get, "/projects/{project}/messages/export", inProject, iot.ReadTraffic, s.exportMessages},
	}
}

// Rows of a page of an export: a message holds up to 1 MiB, a delivery little.
const (
	exportedDeliveries = 500
	exportedMessages   = 20
)

// errFilter is for an export whose filter is not clear: it would hold more than
// was asked for.
func errFilter() error {
	return iot.NewError(iot.Invalid, "The filter is not valid. Go back to the list and choose it again.")
}

// exportDeliveries sends the whole log that a filter chooses as a file.
func (s *site) exportDeliveries(w http.ResponseWriter, r *http.Request, v *visit) error {
	format, err := handlers.ParseExportFormat(r)
	if err != nil {
		return err
	}
	q, ignored := deliveryQuery(r.URL.Query())
	if len(ignored) > 0 {
		return errFilter()
	}
	f, none, err := s.deliveryFilter(r.Context(), v, q)
	if err != nil {
		return err
	}
	none, f.Limit = none || q.ID != "", exportedDeliveries
	e := handlers.Export[iot.Delivery]{Name: v.project.ID + "-deliveries", Format: format, Columns: handlers.DeliveryColumns(),
		Cells: handlers.DeliveryCells, Now: s.Now(), Clock: s.Now,
		Next: func(ctx context.Context) ([]iot.Delivery, bool, error) {
			if none {
				return nil, false, nil
			}
			page, err := s.DB.Deliveries(ctx, f)
			f.Before = page.Next
			return page.Items, !page.Next.IsZero(), err
		}}
	return e.Stream(w, r)
}

// exportMessages sends all messages that a filter chooses as a file.
func (s *site) exportMessages(w http.ResponseWriter, r *http.Request, v *visit) error {
	format, err := handlers.ParseExportFormat(r)
	if err != nil {
		return err
	}
	q, ignored := messageQuery(r.URL.Query())
	if len(ignored) > 0 {
		return errFilter()
	}
	f, none, err := s.messageFilter(r.Context(), v, q)
	if err != nil {
		return err
	}
	f.Limit = exportedMessages
	e := handlers.Export[iot.Message]{Name: v.project.ID + "-messages", Format: format, Columns: handlers.MessageColumns(),
		Cells: handlers.MessageCells, Now: s.Now(), Clock: s.Now,
		Next: func(ctx context.Context) ([]iot.Message, bool, error) {
			if none {
				return nil, false, nil
			}
			page, err := s.DB.Messages(ctx, f)
			f.Before = page.Next
			return page.Items, !page.Next.IsZero(), err
		}}
	return e.Stream(w, r)
}
