package db

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
)

// chunks are the journal's bytes in rows that each fill a page and keep their size. A
// transaction overwrites the row that it continues, and rows whose content is no longer
// needed. So it writes one page, and the table's tree does not change. (A row for each
// transaction costs two to five more pages whenever a page of the table is full.)
//
// A chunk is its number, its used bytes and those bytes, filled up with zeros. The row in
// meta named journal has the position from which the journal is needed.
type chunks struct {
	content int   // bytes that a chunk has room for
	number  int64 // of the chunk that is being filled
	used    int   // bytes of it
	chunk   []byte
	rows    map[int64]int64 // of the chunks that are needed, by their numbers
	free    []int64         // rows that may be overwritten
	last    int64           // the newest row

	before struct { // of the transaction in progress
		number int64
		used   int
		chunk  []byte
	}
}

const (
	chunkHead = 12 // number and used bytes
	// chunkLess is how much smaller a chunk is than a page: SQLite keeps a row of up to 35
	// bytes less in one page, with some bytes of its own.
	chunkLess = 96
	// placeBits is how many bits of a position are its place in the chunk; a page has at
	// most 64 KiB.
	placeBits = 17
)

// end is the position after the last byte.
func (c *chunks) end() int64 { return c.number<<placeBits | int64(c.used) }

// emptyAt returns the state of a journal that ends at a position and is not written.
func emptyAt(end int64) *chunks {
	return &chunks{number: end >> placeBits, used: int(end & (1<<placeBits - 1)), rows: map[int64]int64{}}
}

// append writes bytes at the end, by put, as a part of the transaction in progress.
func (c *chunks) append(record []byte, put func(row int64, chunk []byte) error) error {
	c.before.number, c.before.used = c.number, c.used
	c.before.chunk = append(c.before.chunk[:0], c.chunk...)
	for len(record) > 0 {
		if c.used == c.content {
			c.number, c.used = c.number+1, 0
			clear(c.chunk)
		}
		n := copy(c.chunk[chunkHead+c.used:], record)
		record = record[n:]
		c.used += n
		binary.BigEndian.PutUint64(c.chunk, uint64(c.number))
		binary.BigEndian.PutUint32(c.chunk[8:], uint32(c.used))
		if err := put(c.row(), c.chunk); err != nil {
			return err
		}
	}
	return nil
}

// row returns the row of the chunk that is being filled.
func (c *chunks) row() int64 {
	row, known := c.rows[c.number]
	if known {
		return row
	}
	if n := len(c.free); n > 0 {
		row, c.free = c.free[n-1], c.free[:n-1]
	} else {
		c.last++
		row = c.last
	}
	c.rows[c.number] = row
	return row
}

// undo takes back what append did in a transaction that failed.
func (c *chunks) undo() {
	for ; c.number > c.before.number; c.number-- {
		if row, known := c.rows[c.number]; known {
			delete(c.rows, c.number)
			c.free = append(c.free, row)
		}
	}
	c.used = c.before.used
	copy(c.chunk, c.before.chunk)
}

// forget frees the rows of chunks before a position.
func (c *chunks) forget(from int64) {
	for number, row := range c.rows {
		if number < from>>placeBits {
			delete(c.rows, number)
			c.free = append(c.free, row)
		}
	}
}

// readChunks reads the journal: the bytes that are needed, and the state to continue with.
func readChunks(ctx context.Context, on interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}) (c *chunks, record []byte, err error) {
	var page int
	var from int64
	err = on.QueryRowContext(ctx, `SELECT page_size, (SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'journal') FROM pragma_page_size`).
		Scan(&page, &from)
	if err != nil {
		return nil, nil, err
	}
	c = &chunks{content: page - chunkLess - chunkHead, chunk: make([]byte, page-chunkLess), rows: map[int64]int64{}, number: from >> placeBits}
	rows, err := on.QueryContext(ctx, `SELECT id, record FROM journal WHERE id > 0 ORDER BY id`)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	needed := map[int64][]byte{}
	for rows.Next() {
		var chunk []byte
		if err := rows.Scan(&c.last, &chunk); err != nil {
			return nil, nil, err
		}
		if len(chunk) < chunkHead {
			return nil, nil, fmt.Errorf("row %d of the journal is too short", c.last)
		}
		number := int64(binary.BigEndian.Uint64(chunk))
		if number < from>>placeBits {
			c.free = append(c.free, c.last)
			continue
		}
		needed[number], c.rows[number] = chunk, c.last
		c.number = max(c.number, number)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	slices.Reverse(c.free)
	for number := from >> placeBits; number <= c.number; number++ {
		chunk, place := needed[number], 0
		if number == from>>placeBits {
			place = int(from & (1<<placeBits - 1))
		}
		if chunk == nil {
			if len(needed) == 0 && place == 0 {
				break // nothing was written yet
			}
			return nil, nil, fmt.Errorf("chunk %d of the journal is missing", number)
		}
		c.used = int(binary.BigEndian.Uint32(chunk[8:]))
		if c.used > len(chunk)-chunkHead || place > c.used {
			return nil, nil, fmt.Errorf("chunk %d of the journal has fewer bytes than it says", number)
		}
		record = append(record, chunk[chunkHead+place:chunkHead+c.used]...)
		copy(c.chunk, chunk)
		if len(chunk) != len(c.chunk) {
			c.used = c.content // the size of pages has changed: the next chunk has the new one
		}
	}
	return c, record, nil
}
