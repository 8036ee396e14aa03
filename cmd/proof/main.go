// Command proof runs the tests and measurements behind Thingpost's claims and prints
// them as a table: the claim, what was done, the measured figure, and whether the claim
// holds. It is for developers of Thingpost ("make proof") and not part of the program.
//
// A test reports a figure by t.Attr("figure", …). A claim holds if each of its tests
// ran and passed, none was skipped, and at least one reported a figure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// limit is the maximum time for all claims.
const limit = 15 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("proof", flag.ContinueOnError)
	flags.SetOutput(progress)
	only := flags.String("only", "", "run only the claims whose text or test names contain this")
	into := flags.String("into", "", "put the table into this Markdown `FILE`, between its two marks")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	folder, err := os.MkdirTemp("", "thingpost-proof-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	r := &runner{folder: folder, progress: progress, built: map[string]string{}}
	var rows []row
	for _, c := range table() {
		if c.names(*only) {
			rows = append(rows, r.prove(ctx, c))
		}
	}
	if len(rows) == 0 {
		return errors.New("no claim matches")
	}
	table := markdown(rows)
	if _, err := io.WriteString(out, table); err != nil {
		return err
	}
	if *into != "" {
		if err := replace(*into, table); err != nil {
			return err
		}
	}
	return failed(rows)
}

// failed names the claims that do not hold.
func failed(rows []row) error {
	var errs []error
	for _, r := range rows {
		if r.fault != "" {
			errs = append(errs, fmt.Errorf("%s: %s", r.claim.claim, r.fault))
		}
	}
	return errors.Join(errs...)
}
