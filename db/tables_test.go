package db_test

import (
	"go/ast"
	"go/constant"
	"regexp"
	"testing"
)

// kept are the tables whose last rows may still be in the journal.
var kept = regexp.MustCompile(`\b(FROM|JOIN|INTO) (messages|deliveries|attempts|webhook_counters|webhook_hours|device_days)\b`)

// asTheyAre are functions that read those tables and need not move the journal first, and
// why.
var asTheyAre = map[string]string{
	"Head":             "the dispatcher moves it once for many devices",
	"PendingDevices":   "the dispatcher moves it once for many devices",
	"cancelAllDeleted": "it looks again soon",
}

// TestReadersMoveTheJournal looks at every function that reads with a reader's connection, and
// whose statements name a table whose last rows may be in the journal: it must call one of
// tables, inTables and MoveJournal.
func TestReadersMoveTheJournal(t *testing.T) {
	set, files, info := sources(t)
	moving := 0
	for _, file := range files {
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			reads, moves, table := false, false, ""
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					switch n.Sel.Name {
					case "reader", "inTx":
						reads = true
					case "tables", "inTables", "MoveJournal":
						moves = true
					}
				case ast.Expr:
					if v := info.Types[n].Value; v != nil && v.Kind() == constant.String {
						if m := kept.FindStringSubmatch(constant.StringVal(v)); m != nil {
							table = m[2]
						}
					}
				}
				return true
			})
			switch _, known := asTheyAre[fn.Name.Name]; {
			case moves:
				moving++
			case reads && table != "" && !known:
				t.Errorf("%s: %s reads %s without what is in the journal: call tables, inTables or MoveJournal",
					set.Position(fn.Pos()), fn.Name.Name, table)
			}
		}
	}
	if moving < 10 {
		t.Errorf("%d functions move the journal", moving)
	}
}
