package travel_test

import (
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

// What a fork costs grows with the run, and no faster.
func TestAForkOfALargeRun(t *testing.T) {
	const items = 1000
	p := compile(t, `
input list: [int]
notes = map i in list limit 100 {
  r = writer "<<i>>"
  critic "<<r>>"
}
total = reduce part in notes by 2 { editor "<<len(part)>>" }
output total`, nil)
	list := make([]any, items)
	for i := range list {
		list[i] = i
	}
	h := start(t, p, map[string]any{"list": list}, 1).quick()
	begun := time.Now()
	f := fork(t, h, travel.Change{From: "notes[17]/r"})
	t.Logf("%d facts, forked in %s", len(h.Facts), time.Since(begun))
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("a fork of %d facts took %s", len(h.Facts), took)
	}
	if len(f.Again) != 2+items-1 || len(f.Keeps) != 2*items-2 {
		t.Errorf("%d steps are done again, %d kept", len(f.Again), len(f.Keeps))
	}
	w := goOn(t, f, 1)
	if end := last(w.quick()); end.Status != run.Succeeded || end.Usage.Calls != int64(len(f.Again)) {
		t.Errorf("it ended %s with %d calls", end.Status, end.Usage.Calls)
	}
}

// quick plays a run whose calls end as soon as they may, in plan order.
func (w *world) quick() *travel.History {
	w.t.Helper()
	for w.m.Finished() == nil {
		var open []run.Wish
		for x := range w.m.Open() {
			open = append(open, x)
		}
		for _, x := range open {
			switch x := x.(type) {
			case *run.CallWish:
				w.call(x)
				if !x.Started {
					again := *x
					again.Started = true
					w.call(&again)
				}
			case *run.FinishWish:
				end := x.Finished
				w.tell(&end)
			}
		}
	}
	return w.h
}
