package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// statements are those of the hot path, prepared once on the writer's connection. Their
// placeholders have no numbers: SQLite takes $1 for a name and finds each name by searching
// all, which took 40 % of the time.
type statements struct {
	begins, commits *sql.Stmt

	messages   line
	deliveries line
	downlinks  line
	attempts   line
	seen, days line
	finished   line // updates, in the same numbers at a time

	savepoint, rollback, release direct

	counters, hours, durations, projectHours *sql.Stmt
	repeated, retrying, lastFailed           *sql.Stmt
	erase                                    *sql.Stmt
	cut                                      *sql.Stmt
	journal                                  direct

	countDevice, slugTaken, profileOf, keyIsLater, addDevice, audit *sql.Stmt // to create a device
}

const repeatedQuery = `SELECT id FROM messages WHERE device_id = ? AND sender_id = ? AND id >= ? ORDER BY id LIMIT 1`

// eraseWhere empties messages that were kept only until their delivery and that no pending
// or failed delivery needs any more. The condition for which messages follows it.
const eraseWhere = `UPDATE messages SET transient = 2, payload = x'', fields = NULL WHERE transient = 1
	AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message_id = messages.id AND status IN ('pending', 'failed')) AND `

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
	straight := func(query string) direct {
		if err != nil {
			return direct{}
		}
		var st direct
		err = conn.Raw(func(c any) error {
			var err error
			st, err = prepareDirect(ctx, c, query)
			return err
		})
		return st
	}
	s.begins = prepare(`BEGIN IMMEDIATE`)
	s.commits = prepare(`COMMIT`)
	s.savepoint, s.rollback, s.release = straight(`SAVEPOINT finish`), straight(`ROLLBACK TO finish`), straight(`RELEASE finish`)
	s.finished = newLine(10, func(rows string) direct {
		return straight(`WITH x (project_id, id, status, due_at, attempt_count, code, error, error_detail, duration_ms, ended_at) AS (VALUES ` +
			rows + `)
			UPDATE deliveries SET status = x.status, due_at = x.due_at, attempt_count = x.attempt_count, code = x.code, error = x.error,
			error_detail = x.error_detail, duration_ms = x.duration_ms, ended_at = x.ended_at
			FROM x WHERE deliveries.project_id = x.project_id AND deliveries.id = x.id AND deliveries.status = 'pending'`)
	})
	// A time from before the clock was set back is replaced by an earlier one.
	s.seen = newLine(2, func(rows string) direct {
		return straight(`INSERT INTO device_seen (device_id, at) VALUES ` + rows + ` ON CONFLICT (device_id) DO UPDATE SET at = excluded.at
			WHERE at < excluded.at OR at >= excluded.at + ` + strconv.FormatInt(iot.ClockSet.Milliseconds(), 10))
	})
	s.days = newLine(3, func(rows string) direct {
		return straight(`INSERT INTO device_days (day_at, device_id, messages) VALUES ` + rows + `
			ON CONFLICT (day_at, device_id) DO UPDATE SET messages = messages + excluded.messages`)
	})
	s.counters = prepare(`INSERT INTO webhook_counters (webhook_id, made, pending, delivered, failed, skipped, cancelled)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (webhook_id) DO UPDATE SET made = made + excluded.made, pending = pending + excluded.pending,
		delivered = delivered + excluded.delivered, failed = failed + excluded.failed, skipped = skipped + excluded.skipped,
		cancelled = cancelled + excluded.cancelled`)
	s.hours = prepare(`INSERT INTO webhook_hours (webhook_id, hour_at, delivered, failed, retried, grown) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET delivered = delivered + excluded.delivered, failed = failed + excluded.failed,
		retried = retried + excluded.retried,
		grown = grown + excluded.grown`)
	s.durations = prepare(`INSERT INTO webhook_durations (webhook_id, hour_at, bucket, count) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET count = count + excluded.count`)
	s.projectHours = prepare(`INSERT INTO project_hours (project_id, hour_at, messages) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET messages = messages + excluded.messages`)
	s.repeated = prepare(repeatedQuery)
	s.retrying, s.lastFailed = prepare(retryingQuery), prepare(lastFailedQuery)
	s.erase = prepare(eraseWhere + `id = $1`)
	s.countDevice = prepare(countDeviceQuery)
	s.slugTaken = prepare(deviceSlugTakenQuery)
	s.profileOf = prepare(profileBySlugQuery)
	s.keyIsLater = prepare(keyIsLaterQuery)
	s.addDevice = prepare(addDeviceQuery)
	s.audit = prepare(auditQuery)
	s.messages = newInserter("messages", straight, acceptedColumns...)
	s.deliveries = newInserter("deliveries", straight, madeColumns...)
	s.downlinks = newInserter("downlinks", straight, "id", "project_id", "device_id", "position", "status", "body", "payload", "confirmed",
		"max_attempts", "created_at", "changed_at")
	s.attempts = newInserter("attempts", straight, attemptColumns...)
	s.journal = straight(`REPLACE INTO journal (id, record) VALUES (?, ?)`)
	s.cut = prepare(`UPDATE meta SET value = ? WHERE name = 'journal'`)
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

// close closes the statements: a connection with an open statement does not close, and
// leaves the WAL behind.
func (s *statements) close() error {
	all := []direct{s.savepoint, s.rollback, s.release, s.journal}
	for _, l := range []line{s.messages, s.deliveries, s.downlinks, s.attempts, s.seen, s.days, s.finished} {
		all = append(all, l.stmts...)
	}
	var err error
	for _, d := range all {
		err = errors.Join(err, d.stmt.Close())
	}
	for _, st := range []*sql.Stmt{s.begins, s.commits, s.counters, s.hours, s.durations, s.projectHours, s.repeated, s.retrying,
		s.lastFailed, s.erase, s.cut,
		s.countDevice, s.slugTaken, s.profileOf, s.keyIsLater, s.addDevice, s.audit} {
		err = errors.Join(err, st.Close())
	}
	return err
}

// direct is a statement of the driver itself, for what runs for each message: the part of
// database/sql in an Exec costs as much as a small insert. Only the writer uses its
// connection and never returns it, so the statement stays valid. Its values must be of the
// types that a driver takes (int64, string, []byte, nil).
type direct struct{ stmt directStmt }

type directStmt interface {
	driver.StmtExecContext
	Close() error
}

func prepareDirect(ctx context.Context, conn any, query string) (direct, error) {
	c, ok := conn.(driver.ConnPrepareContext)
	if !ok {
		return direct{}, fmt.Errorf("the driver's connection is a %T", conn)
	}
	st, err := c.PrepareContext(ctx, query)
	if err != nil {
		return direct{}, err
	}
	d, ok := st.(directStmt)
	if !ok {
		return direct{}, fmt.Errorf("the driver's statement is a %T", st)
	}
	return direct{d}, nil
}

// exec runs the statement; values get their places.
func (d direct) exec(ctx context.Context, values []driver.NamedValue) (changed int64, err error) {
	for i := range values {
		values[i].Ordinal = i + 1
	}
	r, err := d.stmt.ExecContext(ctx, values)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// line writes rows many at a time: a statement for 32 rows costs a fraction of 32 statements.
type line struct {
	width  int
	sizes  []int
	stmts  []direct // one for each size
	values []driver.NamedValue
}

// newLine prepares statements for rows of so many values; query gets the text that follows
// VALUES.
func newLine(width int, query func(rows string) direct) line {
	l := line{width: width, sizes: []int{32, 8, 1}}
	row := "(?" + strings.Repeat(", ?", width-1) + ")"
	for _, size := range l.sizes {
		l.stmts = append(l.stmts, query(row+strings.Repeat(", "+row, size-1)))
	}
	return l
}

// newInserter returns a line of rows for a table. Rows that exist already stay unchanged.
func newInserter(table string, prepare func(string) direct, columns ...string) line {
	return newLine(len(columns), func(rows string) direct {
		return prepare("INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + rows + " ON CONFLICT DO NOTHING")
	})
}

// add adds one row; its values are in the order of the columns.
func (l *line) add(values ...any) {
	for _, v := range values {
		l.values = append(l.values, driver.NamedValue{Value: v})
	}
}

// flush inserts the added rows in their order.
func (l *line) flush(ctx context.Context) error {
	defer l.drop()
	rest := l.values
	for i, size := range l.sizes {
		for n := size * l.width; len(rest) >= n; rest = rest[n:] {
			if _, err := l.stmts[i].exec(ctx, rest[:n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// drop removes all added rows.
func (l *line) drop() {
	clear(l.values)
	l.values = l.values[:0]
}
