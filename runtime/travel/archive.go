package travel

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// Schema names the form of an exported run.
const Schema = "slop.run/1"

// archive is a run in a file: all it needs to be folded again, anywhere.
type archive struct {
	Schema string            `json:"schema"`
	ID     run.ID            `json:"id"`
	Plan   json.RawMessage   `json:"plan"`
	Facts  []json.RawMessage `json:"facts"`
	Blobs  map[string][]byte `json:"blobs,omitempty"` // by the SHA-256 of their bytes
	Sum    string            `json:"sum"`             // of all the above: see sum
}

// ErrDamaged says that the file of a run is not as it was written.
var ErrDamaged = errors.New("the file is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Blobs lists the hashes of what the facts name and is kept outside of them, each once. The plan is not among them.
func (h *History) Blobs() []string {
	seen := map[string]bool{}
	for _, f := range h.Facts {
		f.Blobs(func(hash string) { seen[hash] = true })
	}
	if begin, err := h.started(); err == nil {
		delete(seen, begin.Plan)
	}
	return slices.Sorted(maps.Keys(seen))
}

// Export writes a run as one JSON document. blobs holds the bytes of all that Blobs lists; redact blacks out what must not leave the machine, nil: nothing.
func Export(h *History, blobs map[string][]byte, redact func(string) string) ([]byte, error) {
	a := archive{Schema: Schema, ID: h.ID, Plan: json.RawMessage(plan.Encode(h.Plan)), Blobs: blobs}
	for _, hash := range h.Blobs() {
		if _, ok := blobs[hash]; !ok {
			return nil, fmt.Errorf("export run %s: the bytes of %s are missing", h.ID, hash)
		}
	}
	for _, f := range h.Facts {
		raw, err := run.EncodeFact(f)
		if err != nil {
			return nil, fmt.Errorf("export run %s: %w", h.ID, err)
		}
		if redact != nil {
			raw = []byte(redact(string(raw)))
		}
		a.Facts = append(a.Facts, raw)
	}
	var err error
	if a.Sum, err = a.sum(); err != nil {
		return nil, fmt.Errorf("export run %s: %w", h.ID, err)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(&a); err != nil {
		return nil, fmt.Errorf("export run %s: %w", h.ID, err)
	}
	return b.Bytes(), nil
}

// sum hashes what the document says, however it is indented.
func (a *archive) sum() (string, error) {
	h := sha256.New()
	part := func(data []byte) {
		fmt.Fprintf(h, "%d\n", len(data))
		h.Write(data)
	}
	part([]byte(a.Schema))
	part([]byte(a.ID))
	for _, raw := range append([]json.RawMessage{a.Plan}, a.Facts...) {
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return "", err
		}
		part(b.Bytes())
	}
	for _, hash := range slices.Sorted(maps.Keys(a.Blobs)) {
		part([]byte(hash))
		part(a.Blobs[hash])
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// Import reads what Export wrote. ErrDamaged when anything in it is not as it was written.
func Import(data []byte) (*History, map[string][]byte, error) {
	var a archive
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, nil, damaged("it is no JSON of a run: %s", err)
	}
	switch {
	case a.Schema == "":
		return nil, nil, damaged("it does not say what it is (\"schema\": %q)", Schema)
	case a.Schema != Schema:
		return nil, nil, fmt.Errorf("the file is of the form %q, this program reads %q", a.Schema, Schema)
	}
	sum, err := a.sum()
	if err != nil {
		return nil, nil, damaged("%s", err)
	}
	if sum != a.Sum {
		return nil, nil, damaged("its sum is %s, and of what it holds it would be %s", a.Sum, sum)
	}
	p, err := plan.Decode(a.Plan)
	if err != nil {
		return nil, nil, damaged("its plan: %s", err)
	}
	h := &History{ID: a.ID, Plan: p}
	for i, raw := range a.Facts {
		f, err := run.DecodeFact(raw)
		if err != nil {
			return nil, nil, damaged("fact %d: %s", i+1, err)
		}
		if f.Seq != run.Seq(i+1) {
			return nil, nil, damaged("fact %d follows fact %d", f.Seq, i)
		}
		h.Facts = append(h.Facts, f)
	}
	begin, err := h.started()
	if err != nil {
		return nil, nil, damaged("%s", err)
	}
	if hash := plan.Hash(p); hash != begin.Plan {
		return nil, nil, damaged("the run began with the plan %s, the file holds %s", begin.Plan, hash)
	}
	for hash, data := range a.Blobs {
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != hash {
			return nil, nil, damaged("the bytes of %s are others", hash)
		}
	}
	for _, hash := range h.Blobs() {
		if _, ok := a.Blobs[hash]; !ok {
			return nil, nil, damaged("the bytes of %s are missing", hash)
		}
	}
	return h, a.Blobs, nil
}

// Replayed is a history that was folded again.
type Replayed struct {
	Lines []Line
	End   *run.Finished // nil: the run had not ended
}

// Line is a fact, and the line of the script it is about.
type Line struct {
	Fact   run.Fact
	At     source.Pos // Line 0: it is about the run
	Source string     // the text of the line
	Kept   bool       // taken over from the origin of a fork
}

// Replay folds a history with its plan alone: no agent is called and nothing is stored. What the machine decides must be what was recorded: ErrDrift.
func Replay(h *History) (*Replayed, error) {
	old, err := h.read()
	if err != nil {
		return nil, err
	}
	if e := old.drift(); e != nil {
		return nil, fmt.Errorf("%w at %s: %s", ErrDrift, e.Path, e.Message)
	}
	if len(h.Facts) > 0 && old.last != h.Facts[len(h.Facts)-1].Seq {
		return nil, damaged("facts follow the end of the run at fact %d", old.last)
	}
	if old.end != nil {
		if problem := disagree(old.end, old.decided); problem != "" {
			return nil, fmt.Errorf("%w: %s", ErrDrift, problem)
		}
	}
	r := &Replayed{End: old.end}
	lines := map[string][]string{}
	for _, s := range h.Plan.Sources {
		lines[s.Name] = strings.Split(s.Text, "\n")
	}
	begin, _ := h.started()
	for _, f := range h.Facts {
		line := Line{Fact: f, At: h.line(old, f), Kept: begin.Fork != nil && f.Seq > 1 && f.Seq <= begin.Fork.Kept}
		if text := lines[line.At.File]; line.At.Line > 0 && line.At.Line <= len(text) {
			line.Source = strings.TrimSpace(text[line.At.Line-1])
		}
		r.Lines = append(r.Lines, line)
	}
	return r, nil
}

// line is where in the script stands what a fact is about.
func (h *History) line(old *steps, f run.Fact) source.Pos {
	if b, ok := f.Body.(*run.Finished); ok && b.Error != nil {
		return source.Pos{File: b.Error.File, Line: b.Error.Line, Column: b.Error.Column}
	}
	path, _ := target(f.Body)
	if s := old.byPath[path]; s != nil && len(s.place) > 0 {
		spot := s.place[len(s.place)-1]
		return h.Plan.Blocks[spot.Block].Nodes[spot.Slot].At
	}
	if spot, ok := old.waits[path]; ok {
		return h.Plan.Blocks[spot.Block].Nodes[spot.Slot].At
	}
	return source.Pos{}
}

// disagree says in what the recorded end of a run is not the one that follows from its facts.
func disagree(recorded, decided *run.Finished) string {
	switch {
	case decided == nil:
		return fmt.Sprintf("the run is recorded as %s, and what is recorded before does not end it", recorded.Status)
	case recorded.Status != decided.Status:
		return fmt.Sprintf("the run is recorded as %s, and it follows that it is %s", recorded.Status, decided.Status)
	case !same(recorded.Value, decided.Value):
		return "the recorded output is not the one that follows"
	case (recorded.Error == nil) != (decided.Error == nil), recorded.Error != nil && recorded.Error.Code != decided.Error.Code:
		return fmt.Sprintf("the recorded failure is %s, and it follows that it is %s", recorded.Error, decided.Error)
	case recorded.Usage != decided.Usage:
		return "the recorded usage is not the sum of what the calls used"
	}
	return ""
}

// Took is how long the run went on.
func (r *Replayed) Took() time.Duration {
	if len(r.Lines) == 0 {
		return 0
	}
	return r.Lines[len(r.Lines)-1].Fact.At.Sub(r.Lines[0].Fact.At)
}

// Whole gives a value with the bytes of a file's blobs in their place.
func Whole(v any, blobs map[string][]byte) any {
	switch v := v.(type) {
	case types.Large:
		if data, ok := blobs[v.SHA256]; ok {
			return string(data)
		}
	case types.FileValue:
		if data, ok := blobs[v.SHA256]; ok && v.Data == nil {
			v.Data = data
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = Whole(x, blobs)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = Whole(x, blobs)
		}
		return out
	}
	return v
}
