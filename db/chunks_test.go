package db

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// TestChunksKeepWhatWasCommitted appends to a journal, in transactions of which some fail,
// cuts it and opens it again, in any order. What is read is what a plain list of bytes has.
func TestChunksKeepWhatWasCommitted(t *testing.T) {
	ctx := t.Context()
	file := filepath.Join(t.TempDir(), "journal.db")
	rapid.Check(t, func(t *rapid.T) {
		d, err := sql.Open("sqlite", "file:"+file+"?_pragma=page_size(512)&_pragma=synchronous(OFF)")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		d.SetMaxOpenConns(1)
		exec := func(query string, args ...any) {
			t.Helper()
			if _, err := d.ExecContext(ctx, query, args...); err != nil {
				t.Fatal(err)
			}
		}
		exec(`DROP TABLE IF EXISTS journal`)
		exec(`CREATE TABLE journal (id INTEGER PRIMARY KEY, record BLOB NOT NULL)`)
		exec(`CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT)`)
		exec(`REPLACE INTO meta (name, value) VALUES ('journal', $1)`, 1<<placeBits)
		c, _, err := readChunks(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		var want []byte   // what is needed
		var ends []int64  // positions after each transaction,
		var sizes []int   // and how many bytes of want end there
		var next byte = 1 // the bytes count
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				record := make([]byte, rapid.IntRange(1, 1500).Draw(t, "bytes"))
				for i := range record {
					record[i] = next
					next++
				}
				exec(`BEGIN`)
				if err := c.append(record, func(row int64, chunk []byte) error {
					_, err := d.ExecContext(ctx, `REPLACE INTO journal (id, record) VALUES ($1, $2)`, row, chunk)
					return err
				}); err != nil {
					t.Fatal(err)
				}
				if rapid.Bool().Draw(t, "fails") {
					exec(`ROLLBACK`)
					c.undo()
					return
				}
				exec(`COMMIT`)
				want = append(want, record...)
				ends, sizes = append(ends, c.end()), append(sizes, len(want))
			},
			"cut": func(t *rapid.T) {
				if len(ends) == 0 {
					return // there is nothing to cut
				}
				i := rapid.IntRange(0, len(ends)-1).Draw(t, "transactions")
				exec(`UPDATE meta SET value = $1 WHERE name = 'journal'`, ends[i])
				c.forget(ends[i])
				gone := sizes[i]
				want, ends, sizes = want[gone:], ends[i+1:], sizes[i+1:]
				for j := range sizes {
					sizes[j] -= gone
				}
			},
			"open": func(t *rapid.T) {
				if c, _, err = readChunks(ctx, d); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				again, record, err := readChunks(ctx, d)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(record, want) || again.end() != c.end() {
					t.Fatalf("%d bytes to %d were read, want %d to %d", len(record), again.end(), len(want), c.end())
				}
			},
		})
	})
}
