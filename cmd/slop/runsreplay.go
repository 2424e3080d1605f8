package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
	"github.com/slopstudios/slop/runtime/wire"
)

type runsReplayCmd struct {
	JSON bool   `name:"json" help:"Print the facts, with the line of the script each is about, and the end as one JSON object."`
	File string `arg:"" help:"What slop runs export printed; - is standard input."`
}

func (runsReplayCmd) Help() string {
	return "Folds an exported run again, offline: no agent is called and nothing is stored. It prints each fact with the line of the script it is about, and the result. " +
		"Exit 0 when what follows is what was recorded, however the run ended; 1 when it is not; 2 when the file is damaged."
}

// maxExport bounds what is read into memory as one run.
const maxExport = 1 << 30

func (v *runsReplayCmd) Run(c *console) error {
	data, err := v.read(c)
	if err != nil {
		return usage("%s", plainPathError(err))
	}
	h, blobs, err := travel.Import(data)
	if err != nil {
		return usage("%s cannot be replayed: %s", v.File, err)
	}
	r, err := travel.Replay(h)
	switch {
	case errors.Is(err, travel.ErrDamaged):
		return usage("%s cannot be replayed: %s", v.File, err)
	case err != nil:
		return &exit{exitFailed, fmt.Errorf("%s cannot be replayed: %w", v.File, err)}
	}
	if v.JSON {
		return v.printJSON(c, h, r, blobs)
	}
	style := c.outStyle
	for i := range r.Lines {
		l := &r.Lines[i]
		line := fmt.Sprintf("%5d  %s  %s", l.Fact.Seq, style.Dim(stamp(l.Fact.At)), screen.OneLine(l.Fact.String(), 200))
		if l.Kept {
			line += style.Dim("  kept")
		}
		fmt.Fprintln(c.out, line)
		if l.At.Line > 0 {
			fmt.Fprintln(c.out, style.Dim(fmt.Sprintf("       %s:%d  %s", screen.Inert(l.At.File), l.At.Line, screen.OneLine(l.Source, 120))))
		}
	}
	fmt.Fprintln(c.out)
	switch end := r.End; {
	case end == nil:
		fmt.Fprintf(c.out, "The run had not ended after %d facts.\n", len(r.Lines))
	case end.Error != nil:
		fmt.Fprintf(c.out, "%s: %s: %s\n", end.Status, end.Error.Code, screen.OneLine(end.Error.Message, 500))
	case end.Status != run.Succeeded:
		fmt.Fprintln(c.out, end.Status)
	default:
		c.printValue(travel.Whole(end.Value, blobs))
	}
	return nil
}

func (v *runsReplayCmd) read(c *console) ([]byte, error) {
	in := c.in
	if v.File != "-" {
		f, err := os.Open(v.File)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxExport+1))
	if err == nil && len(data) > maxExport {
		err = fmt.Errorf("%s is larger than %d bytes", v.File, maxExport)
	}
	return data, err
}

type replayReport struct {
	ID     run.ID       `json:"id"`
	Flow   string       `json:"flow"`
	Status run.Status   `json:"status"`
	Output any          `json:"output"`
	Error  *wire.Error  `json:"error"`
	Fork   *run.Fork    `json:"fork"`
	Facts  []factReport `json:"facts"`
}

type factReport struct {
	Seq    run.Seq   `json:"seq"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Text   string    `json:"text"`
	Place  *placeAt  `json:"place"`
	Source string    `json:"source,omitempty"`
	Kept   bool      `json:"kept,omitempty"`
}

type placeAt struct {
	source.Pos
}

func (v *runsReplayCmd) printJSON(c *console, h *travel.History, r *travel.Replayed, blobs map[string][]byte) error {
	begin := h.Facts[0].Body.(*run.Started)
	out := replayReport{ID: h.ID, Flow: h.Plan.Name, Status: run.Running, Fork: begin.Fork, Facts: []factReport{}}
	if end := r.End; end != nil {
		out.Status, out.Output = end.Status, wire.Plain(travel.Whole(end.Value, blobs))
		if e := end.Error; e != nil {
			out.Error = wire.ErrorOf(e)
		}
	}
	for _, l := range r.Lines {
		f := factReport{Seq: l.Fact.Seq, At: l.Fact.At, Kind: l.Fact.Kind(), Text: l.Fact.String(), Source: l.Source, Kept: l.Kept}
		if l.At.Line > 0 {
			f.Place = &placeAt{l.At}
		}
		out.Facts = append(out.Facts, f)
	}
	c.printJSON(out)
	return nil
}
