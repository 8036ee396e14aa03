#!/bin/sh
# modernc.org/sqlite: a page size in the DSN is ignored beside a journal mode.
#
# Version:    modernc.org/sqlite v1.61.1 (SQLite 3.54).
# Behaviour:  Each _pragma of a DSN is run when a connection opens, busy_timeout first and
#             the others sorted by their text, not in the order in which they are written.
#             journal_mode and auto_vacuum fix the page size of a new file, and both come
#             before page_size in the alphabet. So page_size has no effect beside one of
#             them, wherever it is written, and there is no error. A connection that runs
#             the same three PRAGMA statements in that order gets the page size.
# Source:     sqlite.go, applyQueryParams: sort.Slice over the values of _pragma. The
#             documentation of the driver says how the other parameters are ordered, not
#             how these are.
# Seen with Go 1.26:
#             page_size alone: 1024
#             page_size, journal_mode: 4096
#             page_size, auto_vacuum: 4096
#             statements in order: 1024
#
# It needs Go and the network, works in a temporary folder, and exits with 1 if the output
# is another one.
set -eu
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
cat >main.go <<'GO'
package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	_ "modernc.org/sqlite"
)

func size(file, params string, statements ...string) (n int) {
	ctx := context.Background()
	d, err := sql.Open("sqlite", "file:"+file+params)
	if err != nil {
		log.Fatal(err)
	}
	d.SetMaxOpenConns(1)
	for _, s := range append(statements, "CREATE TABLE t (a)") {
		if _, err := d.ExecContext(ctx, s); err != nil {
			log.Fatal(err)
		}
	}
	if err := d.QueryRowContext(ctx, "PRAGMA page_size").Scan(&n); err != nil {
		log.Fatal(err)
	}
	return n
}

func main() {
	fmt.Println("page_size alone:", size("1.db", "?_pragma=page_size(1024)"))
	fmt.Println("page_size, journal_mode:", size("2.db", "?_pragma=page_size(1024)&_pragma=journal_mode(WAL)"))
	fmt.Println("page_size, auto_vacuum:", size("3.db", "?_pragma=page_size(1024)&_pragma=auto_vacuum(2)"))
	fmt.Println("statements in order:", size("4.db", "", "PRAGMA page_size=1024", "PRAGMA auto_vacuum=2", "PRAGMA journal_mode=WAL"))
}
GO
go mod init try >/dev/null 2>&1
go get modernc.org/sqlite@v1.61.1 >/dev/null 2>&1
go run . | tee seen.txt
cat >want.txt <<'END'
page_size alone: 1024
page_size, journal_mode: 4096
page_size, auto_vacuum: 4096
statements in order: 1024
END
cmp -s seen.txt want.txt || { echo "It behaves otherwise now." >&2; exit 1; }
