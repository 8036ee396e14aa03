package db

import (
	"context"
	"database/sql"
	"strings"
)

// statements are those of the hot path, prepared once on the writer's connection.
// Their placeholders have no numbers: SQLite takes $1 for a name, and finds the
// name of each by a walk through all, which took 40 % of the time.
type statements struct {
	begins, commits *sql.Stmt

	messages   inserter
	deliveries inserter
	attempts   inserter
	finished   *sql.Stmt

	counters, hours, durations, projectHours *sql.Stmt
	repeated                                 *sql.Stmt
	erase                                    *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, conn *sql.Conn) error {
	var err error
	prepare := func(query string) *sql.Stmt {
		if err != nil {
			return nil
		}
		var st *sql.Stmt
		st, err = conn.PrepareContext(ctx, query)
		return st
	}
	s.begins = prepare(`BEGIN IMMEDIATE`)
	s.commits = prepare(`COMMIT`)
	s.finished = prepare(`UPDATE deliveries SET status = ?, due_at = ?, attempt_count = ?, code = ?, error = ?, error_detail = ?,
		duration_ms = ?, ended_at = ? WHERE project_id = ? AND id = ? AND status = 'pending'`)
	s.counters = prepare(`INSERT INTO webhook_counters (webhook_id, made, pending, delivered, failed, skipped, cancelled)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (webhook_id) DO UPDATE SET made = made + excluded.made, pending = pending + excluded.pending,
		delivered = delivered + excluded.delivered, failed = failed + excluded.failed, skipped = skipped + excluded.skipped, cancelled = cancelled + excluded.cancelled`)
	s.hours = prepare(`INSERT INTO webhook_hours (webhook_id, hour_at, delivered, failed, retried) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET delivered = delivered + excluded.delivered, failed = failed + excluded.failed, retried = retried + excluded.retried`)
	s.durations = prepare(`INSERT INTO webhook_durations (webhook_id, hour_at, bucket, count) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET count = count + excluded.count`)
	s.projectHours = prepare(`INSERT INTO project_hours (project_id, hour_at, messages) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET messages = messages + excluded.messages`)
	s.repeated = prepare(`SELECT id FROM messages WHERE device_id = ? AND sender_id = ? AND id >= ? ORDER BY id LIMIT 1`)
	s.erase = prepare(`UPDATE messages SET transient = 2, payload = x'', fields = NULL WHERE id = $1 AND transient = 1
		AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message_id = $1 AND status IN ('pending', 'failed'))`)
	s.messages = newInserter("messages", prepare, "id", "project_id", "device_id", "type", "channel", "sender_id", "fields", "payload", "received_at", "transient")
	s.deliveries = newInserter("deliveries", prepare, "project_id", "id", "message_id", "webhook_id", "device_id", "type", "channel",
		"status", "trigger", "in_order", "size_bytes", "due_at", "created_at", "error_detail", "ended_at")
	s.attempts = newInserter("attempts", prepare, "delivery_id", "number", "at", "duration_ms", "timings", "request", "code",
		"response_headers", "response_body", "truncated", "error", "error_detail")
	return err
}

func (s *statements) begin(ctx context.Context) error {
	_, err := s.begins.ExecContext(ctx)
	return err
}

func (s *statements) commit(ctx context.Context) error {
	_, err := s.commits.ExecContext(ctx)
	return err
}

// inserter inserts rows many at a time: a statement for 32 rows costs a fraction
// of 32 statements. A row that is there already stays as it is.
type inserter struct {
	width int
	sizes []int
	stmts []*sql.Stmt
	args  []any
}

func newInserter(table string, prepare func(string) *sql.Stmt, columns ...string) inserter {
	in := inserter{width: len(columns), sizes: []int{32, 8, 1}}
	for _, size := range in.sizes {
		var q strings.Builder
		q.WriteString("INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES ")
		row := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
		q.WriteString(row + strings.Repeat(", "+row, size-1) + " ON CONFLICT DO NOTHING")
		in.stmts = append(in.stmts, prepare(q.String()))
	}
	return in
}

// add puts one row in line; its values are in the order of the columns.
func (in *inserter) add(values ...any) { in.args = append(in.args, values...) }

// flush inserts the rows in line, in their order.
func (in *inserter) flush(ctx context.Context) error {
	rest := in.args
	for i, size := range in.sizes {
		for n := size * in.width; len(rest) >= n; rest = rest[n:] {
			if _, err := in.stmts[i].ExecContext(ctx, rest[:n]...); err != nil {
				in.drop()
				return err
			}
		}
	}
	in.drop()
	return nil
}

// drop empties the line.
func (in *inserter) drop() {
	clear(in.args)
	in.args = in.args[:0]
}
