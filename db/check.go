package db

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"thingpost/internal/iot"
)

// Finding is the result of one check of a database, in words.
type Finding struct {
	What   string   // what must hold
	Faults []string // violations: at most ten, and how many more there are
}

// OK reports whether the check found no fault.
func (f Finding) OK() bool { return len(f.Faults) == 0 }

// maxFaults bounds the faults that one check lists.
const maxFaults = 10

func (f *Finding) add(format string, args ...any) {
	f.Faults = append(f.Faults, fmt.Sprintf(format, args...))
}

// short keeps the first faults and says how many more there are.
func (f Finding) short() Finding {
	if n := len(f.Faults) - maxFaults; n > 0 {
		f.Faults = append(f.Faults[:maxFaults:maxFaults], fmt.Sprintf("and %d more", n))
	}
	return f
}

// Check checks that the database is complete and consistent. It also works beside a
// running server: numbers that belong together are read in one transaction. An error
// means that it could not check.
func (d *DB) Check(ctx context.Context) ([]Finding, error) {
	whole := Finding{What: "the file is intact"}
	var err error
	if whole.Faults, err = integrity(ctx, d.reader); err != nil {
		if resultCode(err)&0xff != codeCorrupt {
			return nil, translate("check integrity", err)
		}
		whole.Faults = []string{err.Error()}
	}
	list := []Finding{whole}
	if !whole.OK() {
		return list, nil // a damaged file cannot be checked further
	}
	for _, check := range []func(context.Context, *sql.Tx) (Finding, error){d.checkJournal, d.checkKeys, d.checkLaw, d.checkMessages,
		d.checkDownlinks, d.checkSecrets} {
		var f Finding
		if err := d.inTx(ctx, func(tx *sql.Tx) (err error) {
			f, err = check(ctx, tx)
			return err
		}); err != nil {
			return list, translate("check", err)
		}
		list = append(list, f.short())
	}
	return list, nil
}

// checkJournal reads what is not in the tables yet.
func (d *DB) checkJournal(ctx context.Context, tx *sql.Tx) (Finding, error) {
	f := Finding{What: "everything in the journal can be moved into the tables"}
	_, record, err := readChunks(ctx, tx)
	if err == nil {
		err = readRecord(record, func(entry) error { return nil })
	}
	if err != nil {
		if resultCode(err) != 0 || ctx.Err() != nil {
			return f, err
		}
		f.add("the journal cannot be read: %v", err)
	}
	rows, err := tx.QueryContext(ctx, `SELECT id FROM journal WHERE id < 0 ORDER BY id`)
	if err != nil {
		return f, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return f, err
		}
		f.add("row %d of the journal is a message or an outcome that the tables refuse; it is kept there", id)
	}
	return f, rows.Err()
}

func (d *DB) checkKeys(ctx context.Context, tx *sql.Tx) (Finding, error) {
	f := Finding{What: "every reference leads to a row"}
	rows, err := tx.QueryContext(ctx, `SELECT "table", coalesce(rowid, 0), parent FROM pragma_foreign_key_check`)
	if err != nil {
		return f, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var table, parent string
		var row int64
		if err := rows.Scan(&table, &row, &parent); err != nil {
			return f, err
		}
		f.add("row %d of %s refers to a missing row of %s", row, table, parent)
	}
	return f, rows.Err()
}

// checkLaw compares each webhook's counters with each other and with its rows.
func (d *DB) checkLaw(ctx context.Context, tx *sql.Tx) (Finding, error) {
	f := Finding{What: "for every webhook: made = delivered + pending + failed + skipped + cancelled, and pending equals the pending rows"}
	rows, err := tx.QueryContext(ctx, `SELECT c.webhook_id, coalesce(w.slug, ''), c.made, c.pending, c.delivered, c.failed, c.skipped,
		c.cancelled,
		(SELECT count(*) FROM deliveries WHERE webhook_id = c.webhook_id AND status = 'pending')
		FROM webhook_counters c LEFT JOIN webhooks w ON w.id = c.webhook_id`)
	if err != nil {
		return f, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, pending int64
		var slug string
		var c Counters
		if err := rows.Scan(&id, &slug, &c.Made, &c.Pending, &c.Delivered, &c.Failed, &c.Skipped, &c.Cancelled, &pending); err != nil {
			return f, err
		}
		if sum := c.Delivered + c.Pending + c.Failed + c.Skipped + c.Cancelled; c.Made != sum {
			f.add("webhook %s (%d): made is %d, but the others sum to %d", slug, id, c.Made, sum)
		}
		if c.Pending != pending {
			f.add("webhook %s (%d): pending is counted as %d, but there are %d rows", slug, id, c.Pending, pending)
		}
	}
	if err := rows.Err(); err != nil {
		return f, err
	}
	var uncounted int64
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM deliveries v WHERE status = 'pending' AND NOT EXISTS (SELECT 1 FROM `+
		`webhook_counters WHERE webhook_id = v.webhook_id)`).
		Scan(&uncounted); err != nil {
		return f, err
	}
	if uncounted > 0 {
		f.add("%d pending deliveries belong to no webhook", uncounted)
	}
	return f, nil
}

func (d *DB) checkMessages(ctx context.Context, tx *sql.Tx) (Finding, error) {
	f := Finding{What: "every pending delivery has its message"}
	rows, err := tx.QueryContext(ctx, `SELECT v.id, v.message_id FROM deliveries v WHERE v.status = 'pending'
		AND NOT EXISTS (SELECT 1 FROM messages WHERE id = v.message_id AND transient <> $1)`, erased)
	if err != nil {
		return f, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, message int64
		if err := rows.Scan(&id, &message); err != nil {
			return f, err
		}
		f.add("delivery %s: its message %s is not kept", d.ids.Of(id), d.ids.Of(message))
	}
	return f, rows.Err()
}

func (d *DB) checkDownlinks(ctx context.Context, tx *sql.Tx) (Finding, error) {
	f := Finding{What: "every queued downlink has its device, and no queue is too long"}
	rows, err := tx.QueryContext(ctx, `SELECT q.device_id, count(*),
		EXISTS (SELECT 1 FROM devices WHERE id = q.device_id AND project_id = q.project_id AND deleted_at = 0)
		FROM downlinks q WHERE q.status = 'queued' GROUP BY q.device_id, q.project_id`)
	if err != nil {
		return f, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var device, n int64
		var there bool
		if err := rows.Scan(&device, &n, &there); err != nil {
			return f, err
		}
		if !there {
			f.add("device %d: %d downlinks are queued for it, but it does not exist", device, n)
		}
		if n > iot.MaxDownlinks {
			f.add("device %d: %d downlinks are queued for it, more than %d", device, n, iot.MaxDownlinks)
		}
	}
	return f, rows.Err()
}

// checkSecrets decrypts all secrets, and shows none of them.
func (d *DB) checkSecrets(ctx context.Context, tx *sql.Tx) (Finding, error) {
	f := Finding{What: "every secret can be decrypted"}
	for _, c := range []struct{ what, query string }{
		{"device", `SELECT slug, key_sealed, x'', x'', x'', x'' FROM devices`},
		{"webhook", `SELECT slug, headers, downlink_key, signing_secrets, hidden, template_fields FROM webhooks`},
	} {
		rows, err := tx.QueryContext(ctx, c.query)
		if err != nil {
			return f, err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var slug string
			var sealed [5][]byte
			if err := rows.Scan(&slug, &sealed[0], &sealed[1], &sealed[2], &sealed[3], &sealed[4]); err != nil {
				return f, err
			}
			for _, s := range sealed {
				if _, err := d.sealer.open(s); err != nil {
					f.add("%s %s: a secret cannot be decrypted with this key file", c.what, slug)
					break
				}
			}
		}
		if err := rows.Err(); err != nil {
			return f, err
		}
	}
	return f, nil
}

// String returns the finding as a line, and a line for each fault.
func (f Finding) String() string {
	if f.OK() {
		return "ok     " + f.What
	}
	return "WRONG  " + f.What + "\n         " + strings.Join(f.Faults, "\n         ")
}
