package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// ordered holds a store's user to the order of writing: bytes before the fact that names them.
type ordered struct {
	store.Store
	t *testing.T
}

func (o ordered) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	for _, f := range facts {
		f.Blobs(func(hash string) {
			if _, err := o.GetBlob(ctx, hash); err != nil {
				o.t.Errorf("%s names bytes that are not there: %v", f, err)
			}
		})
	}
	return o.Store.Append(ctx, lease, head, facts...)
}

// A text of a megabyte goes from one agent to another, through an expression, a question, a repair and a crash; no fact is larger for it.
func TestLargeTextsAreKeptApart(t *testing.T) {
	novel := strings.Repeat("a line of a novel\n", 60_000)
	kept := ordered{memory.New(), t}
	world := func() *world {
		w := newWorld(t)
		w.model("writer", say(novel))
		w.model("critic", func(_ context.Context, c *agent.Call) agent.Reply {
			if c.Repair == nil {
				return agent.Reply{Value: map[string]any{"quote": novel, "lines": "many"}}
			}
			if r, _ := c.Repair.Answer.(map[string]any); r["quote"] != novel {
				t.Errorf("the answer to repair came back as %.50v", c.Repair.Answer)
			}
			return agent.Reply{Value: map[string]any{"quote": novel, "lines": 60_000}}
		})
		w.model("editor", func(_ context.Context, c *agent.Call) agent.Reply {
			if want := "Shorten, 60000 lines:\n" + novel; c.Text != want {
				t.Errorf("the editor is sent %.60v…", c.Text)
			}
			return agent.Reply{Value: "short"}
		})
		return w
	}
	w := world()
	p := w.plan(`
text = writer "A novel."
let lines = len(split(text, "\n")) - 1
judged = critic "Judge:\n<<text>>" as {quote: string, lines: int}
ok = human.ask "Good?\n<<judged.quote>>"
require ok == text else "no"
output editor "Shorten, <<lines>> lines:\n<<judged.quote>>"`)
	first := engine.New(engine.Config{Registry: w.registry, Store: kept, Owner: "first"})
	id := start(t, first, p, run.Options{})
	asked := ""
	for ev, err := range first.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if b, ok := ev.Fact.Body.(*run.Asked); ev.Fact != nil && ok {
			asked = b.Form.Text
			break
		}
	}
	if asked != "Good?\n"+novel {
		t.Errorf("the question is %.60q…", asked)
	}
	shut(t, first)
	second := engine.New(engine.Config{Registry: world().registry, Store: kept, Owner: "second"})
	defer shut(t, second)
	if err := second.Adopt(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := second.Answer(t.Context(), id, "ok", novel, "me"); err != nil {
		t.Fatal(err)
	}
	if end := wait(t, second, id); end.Value != "short" {
		t.Errorf("it ended with %v: %v", end.Value, end.Error)
	}
	facts, err := kept.Load(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range facts {
		raw, err := run.EncodeFact(f)
		if _, question := f.Body.(*run.Asked); err != nil || len(raw) > 2000 && !question {
			t.Errorf("fact %d has %d bytes (%v): %.100s", f.Seq, len(raw), err, raw)
		}
	}
}

// What is no larger than the limit stands in its fact, and the value of a run is given whole.
func TestTheValueOfARunIsWhole(t *testing.T) {
	for _, size := range []int{engine.DefaultInline, engine.DefaultInline + 1} {
		w := newWorld(t)
		text := strings.Repeat("x", size)
		w.model("writer", say(map[string]any{"text": text}))
		kept := memory.New()
		e := engine.New(engine.Config{Registry: w.registry, Store: kept})
		id := start(t, e, w.plan(`output writer "x" as {text: string}`), run.Options{})
		if end := wait(t, e, id); fmt.Sprint(end.Value) != fmt.Sprint(map[string]any{"text": text}) {
			t.Errorf("%d bytes came back as %.50v…", size, end.Value)
		}
		apart := 0
		for range kept.AllBlobs(t.Context()) {
			apart++
		}
		if want := 1 + size - engine.DefaultInline; apart != want { // the plan is one
			t.Errorf("%d bytes: %d blobs, want %d", size, apart, want)
		}
		shut(t, e)
	}
}

// bent gives long bytes back as others than were put away.
type bent struct{ store.Store }

func (b bent) GetBlob(ctx context.Context, hash string) ([]byte, error) {
	data, err := b.Store.GetBlob(ctx, hash)
	if err == nil && len(data) > engine.DefaultInline {
		data = append([]byte("X"), data[1:]...)
	}
	return data, err
}

// Bytes that were damaged where they are kept fail the step that needs them, by name, and reach no agent.
func TestDamagedBytesAreNoValue(t *testing.T) {
	w := newWorld(t)
	w.model("writer", say(strings.Repeat("x", engine.DefaultInline+1)))
	w.model("reader", func(context.Context, *agent.Call) agent.Reply {
		t.Error("the reader is called")
		return agent.Reply{Value: ""}
	})
	e := engine.New(engine.Config{Registry: w.registry, Store: bent{memory.New()}})
	defer shut(t, e)
	end := wait(t, e, start(t, e, w.plan("text = writer \"long\"\noutput reader \"Read: <<text>>\""), run.Options{}))
	if end.Status != run.Failed || end.Error == nil || !strings.Contains(end.Error.Message, "damaged") {
		t.Errorf("got %+v", end)
	}
}

// A file may hold more than a text, since it is kept apart and no run opens it; there is an end to that, too.
func TestAnAnswerWithFiles(t *testing.T) {
	for size, want := range map[int]run.Status{40 << 20: run.Succeeded, 129 << 20: run.Failed} {
		w := newWorld(t)
		w.model("plays", say(map[string]any{"sound": types.FileValue{Name: "a.wav", Type: "audio/wav", Size: int64(size), Data: make([]byte, size)}}))
		e := engine.New(engine.Config{Registry: w.registry})
		end := wait(t, e, start(t, e, w.plan(`a = plays "x" as {sound: file}
output a.sound.size`), run.Options{}))
		switch {
		case end.Status != want:
			t.Errorf("with %d bytes it ended with %+v", size, end)
		case want == run.Succeeded && end.Value != size:
			t.Errorf("the file has %v bytes", end.Value)
		case want == run.Failed && !strings.Contains(end.Error.Message, "files of plays are larger than 128 MiB"):
			t.Errorf("it says %s", end.Error.Message)
		}
		shut(t, e)
	}
}
