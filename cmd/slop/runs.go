package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/wire"
)

// runsCmd is the group of commands on stored runs; each has a file of its own.
type runsCmd struct {
	List   runsListCmd   `cmd:"" default:"withargs" help:"List runs, newest first. The word list may be left out."`
	Show   runsShowCmd   `cmd:"" help:"Show a run with its steps."`
	Logs   runsLogsCmd   `cmd:"" help:"Tell what happened in a run, line by line."`
	Events runsEventsCmd `cmd:"" help:"Print the facts of a run as lines of JSON."`
	Pause  runsPauseCmd  `cmd:"" help:"Start nothing more in a run; what is under way ends."`
	Resume runsResumeCmd `cmd:"" help:"End a pause."`
	Cancel runsCancelCmd `cmd:"" help:"End a run for good."`
	Fork   runsForkCmd   `cmd:"" help:"Begin a new run that keeps what does not change."`
	Diff   runsDiffCmd   `cmd:"" help:"Say in what two runs differ, and where they part."`
	Export runsExportCmd `cmd:"" help:"Print a run as one JSON document."`
	Replay runsReplayCmd `cmd:"" help:"Fold an exported run again, offline."`
	Prune  runsPruneCmd  `cmd:"" help:"Remove old runs that have ended, and values that no run names."`
}

func (runsCmd) Help() string {
	return "slop runs alone lists the newest; its flags: slop runs list --help. How runs are kept and resumed: slop help durability."
}

type runsListCmd struct {
	Status     []string `placeholder:"STATUS" help:"Only those that are running, waiting, paused, succeeded, failed or cancelled. May be repeated."`
	Flow       string   `placeholder:"NAME" help:"Only runs of this flow."`
	Since      string   `placeholder:"WHEN" help:"Only runs begun since: an age (2h, 7d), a day (2026-11-27) or a time (RFC 3339)."`
	Limit      int      `placeholder:"N" default:"20" help:"How many (20)."`
	Cursor     string   `help:"Go on behind an earlier list: its next."`
	JSON       bool     `name:"json" help:"Print {\"runs\": […], \"next\": …}."`
	stateFlag  `embed:""`
	serverFlag `embed:""`
}

// defaultLimit is what --limit is when nobody says.
const defaultLimit = 20

// runLine is a run in slop runs --json.
type runLine struct {
	ID       run.ID     `json:"id"`
	Flow     string     `json:"flow"`
	Status   run.Status `json:"status"`
	Started  *time.Time `json:"started"`
	Finished *time.Time `json:"finished"`
	Cost     *float64   `json:"cost"`
}

func (v *runsListCmd) Run(c *console) error {
	filter, err := v.filter()
	if err != nil {
		return err
	}
	ctx := context.Background()
	st, err := v.serverFlag.open(ctx, v.stateFlag)
	if err != nil {
		return err
	}
	defer st.close()
	if st.api == nil {
		e := st.bystander(nil)
		defer func() { _ = e.Close(ctx) }()          // it told nobody anything
		if err := e.Reconcile(ctx, ""); err != nil { // a process that is killed may leave a run without an entry
			fmt.Fprintln(c.err, "the list may lack runs: "+err.Error())
		}
	}
	entries, next, err := st.store.List(ctx, filter)
	if err != nil {
		return listError(st, err)
	}
	if v.JSON {
		return v.printJSON(c, entries, next)
	}
	if len(entries) == 0 {
		where := st.folder
		if st.server != "" {
			where = st.server
		}
		if len(v.Status) > 0 || v.Flow+v.Since+v.Cursor != "" {
			fmt.Fprintln(c.err, "no such runs in "+where)
		} else {
			fmt.Fprintln(c.err, "no runs in "+where)
		}
		return nil
	}
	return v.printTable(ctx, c, st, entries, next)
}

// narrowed are the flags that say which runs, as they can be typed again.
func (v *runsListCmd) narrowed() string {
	text := ""
	for _, s := range v.Status {
		text += " --status " + shellWord(s)
	}
	if v.Flow != "" {
		text += " --flow " + shellWord(v.Flow)
	}
	if v.Since != "" {
		text += " --since " + shellWord(v.Since)
	}
	if v.Limit != defaultLimit {
		text += fmt.Sprintf(" --limit %d", v.Limit)
	}
	return text
}

func (v *runsListCmd) filter() (store.Filter, error) {
	f := store.Filter{Flow: strings.TrimSuffix(v.Flow, ".slop"), Limit: v.Limit, Cursor: v.Cursor}
	if v.Limit < 1 || v.Limit > store.MaxLimit {
		return f, usage("--limit is a number from 1 to %d", store.MaxLimit)
	}
	known := []string{"queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled"}
	for _, words := range v.Status {
		for word := range strings.SplitSeq(words, ",") {
			word = strings.ToLower(strings.TrimSpace(word))
			if !slices.Contains(known, word) {
				if near, ok := diag.Nearest(word, known); ok {
					return f, usage("there is no status %q, did you mean %s?", word, near)
				}
				return f, usage("there is no status %q; there are: %s", word, strings.Join(known, ", "))
			}
			f.Status = append(f.Status, run.Status(word))
		}
	}
	if v.Since != "" {
		since, err := when(v.Since, time.Now())
		if err != nil {
			return f, err
		}
		f.Since = since
	}
	return f, nil
}

// when reads an age, a day or a time.
func when(s string, now time.Time) (time.Time, error) {
	if age, err := plan.ParseDuration(s); err == nil {
		return now.Add(-age), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("%q is neither an age (2h, 7d) nor a day (2026-11-27) nor a time (2026-11-27T15:04:05Z)", s)
}

func (v *runsListCmd) printJSON(c *console, entries []store.Entry, next string) error {
	lines := make([]runLine, 0, len(entries))
	for _, e := range entries {
		lines = append(lines, runLine{e.Run, e.Flow, e.Status, wire.Instant(e.Started), wire.Instant(e.Finished), entryCost(e)})
	}
	body := struct {
		Runs []runLine `json:"runs"`
		Next *string   `json:"next"`
	}{lines, nil}
	if next != "" {
		body.Next = &next
	}
	c.printJSON(body)
	return nil
}

// entryCost is in dollars; nil when nobody knows it, and when nothing that was called has a cost.
func entryCost(e store.Entry) *float64 {
	return wire.CostOf(run.Usage{Cost: e.Cost, CostSource: e.CostSource}, wire.NoSource).Dollars
}

func (v *runsListCmd) printTable(ctx context.Context, c *console, st *state, entries []store.Entry, next string) error {
	rows := [][]string{{"ID", "FLOW", "STATUS", "STARTED", "TOOK", "COST"}}
	left := false
	now := time.Now()
	for _, e := range entries {
		status := string(e.Status)
		took := "–"
		switch {
		case !e.Finished.IsZero():
			took = screen.Took(e.Finished.Sub(e.Started))
		case e.Status == run.Running || e.Status == run.Queued:
			took = screen.Took(now.Sub(e.Started))
			if who, err := st.store.Holder(ctx, e.Run); err == nil && who == "" {
				status, took, left = "stopped", "–", true
			}
		}
		rows = append(rows, []string{string(e.Run), screen.OneLine(e.Flow, 30), status, e.Started.Local().Format("2006-01-02 15:04"), took, costText(e)})
	}
	c.printRows(rows, func(row, column int, text string) string {
		switch {
		case row == 0:
			return c.outStyle.Dim(text)
		case column == 2:
			return c.statusStyle(rows[row][2], text)
		}
		return text
	})
	if left {
		fmt.Fprintf(c.err, "stopped: nobody is at work on it; slop resume%s ID goes on\n", st.said)
	}
	if next != "" {
		fmt.Fprintf(c.err, "more: slop runs%s%s --cursor %s\n", st.said, v.narrowed(), next)
	}
	return nil
}

func costText(e store.Entry) string {
	switch e.CostSource {
	case run.Unknown:
		return "unknown"
	case "":
		return "–"
	}
	return screen.Dollars(int64(e.Cost))
}

// statusStyle paints a text as its status is.
func (c *console) statusStyle(status, text string) string {
	switch status {
	case "succeeded", "done":
		return c.outStyle.Green(text)
	case "failed":
		return c.outStyle.Red(text)
	case "waiting", "paused", "stopped", "cancelled", "retrying":
		return c.outStyle.Yellow(text)
	}
	return text
}

// printRows prints a table; paint may colour a cell, whose width is that of its text.
func (c *console) printRows(rows [][]string, paint func(row, column int, text string) string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], screen.Width(cell))
		}
	}
	for r, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(paint(r, i, cell))
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-screen.Width(cell)+2))
			}
		}
		fmt.Fprintln(c.out, strings.TrimRight(line.String(), " "))
	}
}

func listError(st *state, err error) error {
	if isCursor(err) {
		return usage("the cursor is not one that `slop runs` gave; leave --cursor out to begin anew")
	}
	return st.unusable(err)
}
