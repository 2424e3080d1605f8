package wire_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/travel"
	"github.com/slopstudios/slop/runtime/wire"
)

// Every fact of every history is a frame with its seq, from which the fact can be read again.
func TestFramesSayWhatFactsSay(t *testing.T) {
	files, err := filepath.Glob("../../testdata/histories/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		h, _, err := travel.Import(data)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		m := wire.Frames{ID: h.ID, Folder: runs.Fold(h.Plan).Named(h.ID)}
		for _, f := range h.Facts {
			m.Folder.Add(f)
			frame, err := m.Fact(f)
			if err != nil {
				t.Fatalf("%s: fact %d: %v", file, f.Seq, err)
			}
			var head struct {
				Event string
				Run   run.ID
				Seq   run.Seq
			}
			if err := json.Unmarshal(frame, &head); err != nil || head.Run != h.ID || head.Seq != f.Seq || head.Event != m.Name(wire.EventName(f.Body)) {
				t.Errorf("%s: fact %d: its frame begins with %+v, %v", file, f.Seq, head, err)
			}
			if bytes.ContainsRune(frame, '\n') {
				t.Errorf("%s: fact %d: its frame has several lines", file, f.Seq)
			}
			e, ok, err := wire.Read(frame)
			if err != nil || !ok || e.Fact == nil {
				t.Fatalf("%s: fact %d cannot be read again: %v\n%s", file, f.Seq, err, frame)
			}
			want, _ := run.EncodeFact(certain(f))
			got, _ := run.EncodeFact(certain(*e.Fact))
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s: fact %d: %s", file, f.Seq, diff)
			}
		}
	}
}

// certain leaves out figures that nobody knows, which frames do not show.
func certain(f run.Fact) run.Fact {
	known := func(u run.Usage) run.Usage {
		if u.Tokens != run.Reported && u.Tokens != run.Estimated {
			u.Input, u.Output, u.CacheRead, u.CacheWrite = 0, 0, 0, 0
		}
		if u.CostSource != run.Reported && u.CostSource != run.Estimated {
			u.Cost = 0
		}
		return u
	}
	switch b := f.Body.(type) {
	case *run.CallDone:
		c := *b
		c.Usage, f.Body = known(b.Usage), &c
	case *run.CallFailed:
		c := *b
		c.Usage, f.Body = known(b.Usage), &c
	case *run.CallEnded:
		c := *b
		c.Usage, f.Body = known(b.Usage), &c
	case *run.Finished:
		c := *b
		c.Usage, f.Body = known(b.Usage), &c
	}
	return f
}

// Progress comes back as it was; what is neither is passed over.
func TestProgress(t *testing.T) {
	m := wire.Frames{ID: "r"}
	want := &runs.Progress{Path: "a/b", Attempt: 2, Offset: 7, Delta: "<text>", Note: "n"}
	frame, err := m.Progress(want)
	if err != nil {
		t.Fatal(err)
	}
	e, ok, err := wire.Read(frame)
	if err != nil || !ok || cmp.Diff(want, e.Progress) != "" {
		t.Errorf("%v %v: %s", ok, err, cmp.Diff(want, e.Progress))
	}
	for _, other := range []string{`{"kind":"note"}`, `{"kind":"run"}`, `{}`} {
		if _, ok, err := wire.Read([]byte(other)); ok || err != nil {
			t.Errorf("%s: %v %v", other, ok, err)
		}
	}
	if _, _, err := wire.Read([]byte("x")); err == nil {
		t.Error("what is no JSON is read")
	}
}
