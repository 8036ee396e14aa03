package db_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
)

var numbered = regexp.MustCompile(`\$(\d+)`)

// plan returns the steps in which SQLite would run a query.
func (w *world) plan(t *testing.T, query string) []string {
	t.Helper()
	steps, err := w.tryPlan(t, query)
	must(t, err)
	return steps
}

func (w *world) tryPlan(t *testing.T, query string) ([]string, error) {
	t.Helper()
	args := slices.Repeat([]any{nil}, strings.Count(query, "?"))
	for _, n := range numbered.FindAllStringSubmatch(query, -1) {
		place, err := strconv.Atoi(n[1])
		must(t, err)
		args = append(args, make([]any, max(0, place-len(args)))...)
	}
	rows, err := w.raw(t).QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		must(t, rows.Scan(&id, &parent, &unused, &step))
		steps = append(steps, step)
	}
	return steps, rows.Err()
}

func TestHotQueriesUseTheirIndexes(t *testing.T) {
	w := open(t)
	w.raw(t)
	id := w.NewID()
	deliveries := func(f db.DeliveryFilter) []string { f.ProjectKey, f.Limit, f.Since = 1, 50, 5; return f.Queries() }
	messages := func(f db.MessageFilter) []string { f.ProjectKey, f.Limit = 1, 50; return f.Queries() }
	replay := func(f db.DeliveryFilter) []string { f.ProjectKey = 1; return db.ReplaySpec{Deliveries: &f}.Queries() }
	for name, c := range map[string]struct {
		queries []string
		want    string // the step that finds the rows
	}{
		"due": {[]string{db.DueQuery}, "deliveries USING COVERING INDEX deliveries_due (webhook_id=? AND due_at>?)"},
		"bring in": {[]string{db.BringInQuery}, "deliveries USING INDEX deliveries_due (webhook_id=? AND (due_at,project_id," +
			"id)>(?,?,?))"},
		"head": {[]string{db.HeadQuery}, "deliveries USING COVERING INDEX deliveries_in_order (webhook_id=? AND device_id=?)"},
		"pending devices": {[]string{db.PendingDevicesQuery}, "deliveries USING COVERING INDEX deliveries_in_order (webhook_id=? AND " +
			"device_id>?)"},
		"mark":                 {[]string{db.MarkStepQuery}, "deliveries USING COVERING INDEX deliveries_pending (webhook_id=? AND id>?)"},
		"running commands":     {[]string{db.RunningCommandsQuery}, "c USING INDEX commands_running (id>?)"},
		"device by key":        {[]string{db.DeviceByKeyQuery}, "d USING INDEX devices_key_first (key_hash=?)"},
		"device by its key in": {[]string{db.DeviceByKeyInQuery}, "d USING INDEX devices_key (project_id=? AND key_hash=?)"},
		"device by EUI":        {[]string{db.DeviceByEUIQuery}, "d USING INDEX devices_dev_eui (project_id=? AND dev_eui=?)"},
		"device by id":         {[]string{db.DeviceBySlugQuery}, "d USING INDEX devices_slug (project_id=? AND slug=?)"},
		"a retry":              {[]string{db.RetryingQuery}, "deliveries USING COVERING INDEX deliveries_retrying (webhook_id=?"},
		"last failed":          {[]string{db.LastFailedQuery}, "deliveries USING INDEX deliveries_failed (webhook_id=?)"},
		"devices by id":        {[]string{db.DevicesBySlugQuery}, "w USING INDEX devices_slug (project_id=? AND slug=?)"},
		"devices by key":       {[]string{db.DevicesByKeyQuery}, "w USING INDEX devices_key_first (key_hash=?)"},
		"devices beside":       {[]string{db.DevicesBySlugQuery, db.DevicesByKeyQuery}, "d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"},
		"device by UUID":       {[]string{db.DeviceByUUIDQuery}, "d USING INDEX devices_uuid (project_id=? AND uuid=?)"},
		"repeated": {[]string{db.RepeatedQuery}, "messages USING COVERING INDEX messages_sender (device_id=? AND sender_id=? AND " +
			"rowid>?)"},
		"erase": {[]string{db.EraseQuery}, "messages USING INTEGER PRIMARY KEY (rowid=?)"},
		"next downlink": {[]string{db.NextDownlinkQuery, db.QueueQuery, db.PastDownlinksQuery},
			"q USING INDEX downlinks_queue (device_id=? AND status=?"},
		"queued downlinks": {[]string{db.CountDownlinksQuery}, "downlinks USING COVERING INDEX downlinks_queue (device_id=? AND status=?)"},
		"ended downlinks":  {[]string{db.PruneDownlinksQuery}, "downlinks USING INDEX downlinks_ended (changed_at<?)"},
		"log of project":   {deliveries(db.DeliveryFilter{}), "v USING PRIMARY KEY (project_id=? AND id>? AND id<?)"},
		"log by type": {deliveries(db.DeliveryFilter{Types: []iot.MessageType{iot.User}}),
			"v USING PRIMARY KEY (project_id=? AND id>? AND id<?)"},
		"log of webhook": {deliveries(db.DeliveryFilter{WebhookKey: 1}),
			"v USING INDEX deliveries_webhook (webhook_id=? AND id>? AND id<?)"},
		"log of webhook, rare": {deliveries(db.DeliveryFilter{WebhookKey: 1, Statuses: []iot.Status{iot.Skipped}}),
			"v USING INDEX deliveries_webhook (webhook_id=? AND id>? AND id<?)"},
		"failed of webhook": {deliveries(db.DeliveryFilter{WebhookKey: 1, Statuses: []iot.Status{iot.Failed}}),
			"v USING INDEX deliveries_failed (webhook_id=? AND id>? AND id<?)"},
		"pending of webhook": {deliveries(db.DeliveryFilter{WebhookKey: 1, Statuses: []iot.Status{iot.Pending}}),
			"v USING INDEX deliveries_pending (webhook_id=? AND id>? AND id<?)"},
		"retries of webhook": {deliveries(db.DeliveryFilter{WebhookKey: 1, Retrying: true}),
			"v USING INDEX deliveries_retrying (webhook_id=? AND id>? AND id<?)"},
		"next due":       {[]string{db.NextDueQuery}, "deliveries USING COVERING INDEX deliveries_due (webhook_id=?)"},
		"oldest pending": {[]string{db.OldestQuery}, "deliveries USING COVERING INDEX deliveries_pending (webhook_id=?)"},
		"log of device":  {deliveries(db.DeliveryFilter{DeviceKey: 1}), "v USING INDEX deliveries_device (device_id=? AND id>? AND id<?)"},
		"log of message": {deliveries(db.DeliveryFilter{MessageID: id}),
			"v USING INDEX deliveries_message (message_id=? AND project_id=? AND id>? AND id<?)"},
		"log of errors": {deliveries(db.DeliveryFilter{Statuses: []iot.Status{iot.Failed}}),
			"v USING INDEX deliveries_error (project_id=? AND id>? AND id<?)"},
		"log of retries":      {deliveries(db.DeliveryFilter{Retrying: true}), "v USING INDEX deliveries_error (project_id=? AND id>? AND id<?)"},
		"watched, own":        {[]string{db.WatchedOwnQuery}, "d USING INDEX devices_interval (project_id=? AND id>?)"},
		"watched, by profile": {[]string{db.WatchedProfileQuery}, "d USING INDEX devices_profile (profile_id=? AND rowid>?)"},
		"turn":                {[]string{db.TurnQuery}, "d USING INTEGER PRIMARY KEY (rowid=?)"},
		"silent devices":      {[]string{db.DeviceFilter{Silent: true}.Query()}, "d USING INDEX devices_silent (project_id=? AND slug>?)"},
		"devices":             {[]string{db.DeviceFilter{}.Query()}, "d USING INDEX devices_slug (project_id=? AND slug>?)"},
		"a device's day":      {[]string{db.DeviceDayQuery}, "device_days USING PRIMARY KEY (day_at=? AND device_id=?)"},
		"messages of project": {messages(db.MessageFilter{}), "m USING INDEX messages_project (project_id=? AND id>? AND id<?)"},
		"messages of nobody":  {messages(db.MessageFilter{Nobody: true}), "m USING INDEX messages_project (project_id=? AND id>? AND id<?)"},
		"replay of project":   {replay(db.DeliveryFilter{}), "v USING PRIMARY KEY (project_id=? AND id>? AND id<?)"},
		"replay of failed": {replay(db.DeliveryFilter{Statuses: []iot.Status{iot.Failed}}),
			"v USING INDEX deliveries_error (project_id=? AND id>? AND id<?)"},
		"replay of webhook": {replay(db.DeliveryFilter{WebhookKey: 1}), "v USING INDEX deliveries_webhook (webhook_id=? AND id>? AND id<?)"},
		"replay of device":  {replay(db.DeliveryFilter{DeviceKey: 1}), "v USING INDEX deliveries_device (device_id=? AND id>? AND id<?)"},
		"replay of message": {replay(db.DeliveryFilter{MessageID: id}), "v USING INDEX deliveries_message (message_id=? AND project_id=? AND " +
			"id>? AND id<?)"},
		"replay of messages": {db.ReplaySpec{Messages: &db.MessageFilter{ProjectKey: 1}, WebhookKey: 1, Missing: true}.Queries(),
			"m USING INDEX messages_project (project_id=? AND id>? AND id<?)"},
		"messages of device": {messages(db.MessageFilter{DeviceKey: 1}), "m USING INDEX messages_device (device_id=? AND id>? AND id<?)"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, query := range c.queries {
				text := strings.Join(w.plan(t, query), "\n")
				text = strings.TrimPrefix(text, "SCAN w VIRTUAL TABLE INDEX 1:\n")                             // a list in a parameter
				if steps, ok := strings.CutPrefix(text, "CO-ROUTINE b\nSCAN j VIRTUAL TABLE INDEX 1:\n"); ok { // its blocks
					text = strings.Replace(steps, "USE TEMP B-TREE FOR DISTINCT\nSCAN b\n", "", 1)
				}
				// A query that only finds a place needs only the index.
				found := strings.Replace(text, "USING COVERING INDEX", "USING INDEX", 1)
				if !strings.Contains(found, strings.Replace(c.want, "USING COVERING INDEX", "USING INDEX", 1)) ||
					strings.Contains(c.want, "COVERING") && found == text {
					t.Errorf("the plan is\n%s\nwithout\n%s\nfor %s", text, c.want, query)
				}
				if lower := strings.Count(query, ".id > ") + strings.Count(query, ".id >= "); lower > 1 {
					t.Errorf("%d lower bounds, of which SQLite ends its search by any: %s", lower, query)
				}
				if strings.Contains(text, "TEMP B-TREE") || strings.Contains(text, "SCAN") || strings.Contains(text, "AUTOMATIC") {
					t.Errorf("the plan sorts or scans:\n%s\nfor %s", text, query)
				}
			}
		})
	}
}

// The newest deliveries by state of several webhooks are read by each one's index and sorted:
// of each as many as a page has.
func TestLogsOfStatesUseTheirIndexes(t *testing.T) {
	w := open(t)
	for index, f := range map[string]db.DeliveryFilter{
		"deliveries_failed":   {Statuses: []iot.Status{iot.Failed}},
		"deliveries_pending":  {Statuses: []iot.Status{iot.Pending}},
		"deliveries_retrying": {Retrying: true},
	} {
		f.ProjectKey, f.Limit = 1, 50
		text := strings.Join(w.plan(t, f.QueryOfWebhooks(1, 2)), "\n")
		if n := strings.Count(text, "deliveries USING COVERING INDEX "+index+" (webhook_id=? AND id>? AND id<?)"); n != 2 {
			t.Errorf("%d looks into %s:\n%s", n, index, text)
		}
		if !strings.Contains(text, "SEARCH v USING PRIMARY KEY (project_id=? AND id=?)") {
			t.Errorf("the deliveries are not found by their keys:\n%s", text)
		}
	}
}
