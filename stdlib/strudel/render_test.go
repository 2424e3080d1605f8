package strudel_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/strudel"
)

// fourVoices is a pattern as a musician, or a model, writes it.
const fourVoices = `setcpm(110/4)
$: s("bd*4, [~ sd]*2, hh*8").bank("RolandTR909").gain("[1 .8]*2")
$: note("<c2 ab1 eb2 bb1>*2").s("sawtooth").lpf(600).lpq(4)
$: n("<[0,2,4] [3,5,7]>/2").scale("C:minor").s("gm_epiano1").room(.3)
$: n("0 [2 4] <3 5> [~ <4 1>]").scale("C5:minor").s("triangle").delay(.25)`

func render(ctx context.Context, code string, args map[string]any) agent.Reply {
	all := map[string]any{"code": code}
	for k, v := range args {
		all[k] = v
	}
	return strudel.New(strudel.Config{}).Call(ctx, &agent.Call{Callee: signature("strudel.render"), Args: all, Emit: func(agent.Progress) {}})
}

func signature(name string) *types.Signature {
	for _, s := range strudel.New(strudel.Config{}).Signatures() {
		if s.Name == name {
			return &s
		}
	}
	return nil
}

func rendered(t testing.TB, code string, args map[string]any) map[string]any {
	t.Helper()
	r := render(t.Context(), code, args)
	value, ok := r.Value.(map[string]any)
	if r.Outcome != "" || !ok {
		t.Fatalf("%s: %s", r.Outcome, r.Message)
	}
	return value
}

func TestRender(t *testing.T) {
	v := rendered(t, fourVoices, map[string]any{"seconds": 4})
	audio, notes, picture := v["audio"].(types.FileValue), v["midi"].(types.FileValue), v["picture"].(types.FileValue)
	if audio.Name != "tune.wav" || audio.Type != "audio/wav" || !bytes.HasPrefix(audio.Data, []byte("RIFF")) || audio.Size != 44+4*4*44100 || audio.Size != int64(len(audio.Data)) {
		t.Errorf("the sound is %s, %s, %d bytes", audio.Name, audio.Type, audio.Size)
	}
	if notes.Name != "tune.mid" || notes.Type != "audio/midi" || !bytes.HasPrefix(notes.Data, []byte("MThd")) {
		t.Errorf("the notes are %s, %s", notes.Name, notes.Type)
	}
	if picture.Name != "tune.svg" || picture.Type != "image/svg+xml" || !bytes.HasPrefix(picture.Data, []byte("<svg")) {
		t.Errorf("the picture is %s, %s", picture.Name, picture.Type)
	}
	if v["seconds"] != 4.0 || v["events"].(int) < 40 || len(v["unrendered"].([]any)) != 0 {
		t.Errorf("%v seconds, %v events, unrendered %v", v["seconds"], v["events"], v["unrendered"])
	}
	again := rendered(t, fourVoices, map[string]any{"seconds": 4.0})
	for _, name := range []string{"audio", "midi", "picture"} {
		if a, b := v[name].(types.FileValue), again[name].(types.FileValue); !bytes.Equal(a.Data, b.Data) || a.SHA256 != b.SHA256 {
			t.Errorf("two renders of the same code differ in %s", name)
		}
	}
}

func TestTempo(t *testing.T) {
	count := func(code string, args map[string]any) int {
		if args == nil {
			args = map[string]any{}
		}
		args["seconds"], args["format"] = 8.0, "midi"
		return rendered(t, code, args)["events"].(int)
	}
	if n := count(`s("bd")`, nil); n != 4 {
		t.Errorf("%d cycles in 8 seconds, and it is half a cycle a second", n)
	}
	if n := count(`s("bd")`, map[string]any{"bpm": 240.0}); n != 8 {
		t.Errorf("%d cycles in 8 seconds of 240 beats a minute", n)
	}
	if n := count(`setcpm(60); s("bd")`, nil); n != 8 {
		t.Errorf("%d cycles in 8 seconds, and the code says one a second", n)
	}
	if n := count(`setcpm(60); s("bd")`, map[string]any{"bpm": 120}); n != 4 {
		t.Errorf("%d cycles in 8 seconds: what the caller says counts before the code", n)
	}
}

func TestFormatsAndNames(t *testing.T) {
	v := rendered(t, `note("c e g").lpf(500)`, map[string]any{"seconds": 1.0, "format": "midi", "name": "../my/first tune.wav"})
	if audio := v["audio"].(types.FileValue); audio.Name != "first tune.mid" || audio.Type != "audio/midi" {
		t.Errorf("the file is %s, %s", audio.Name, audio.Type)
	}
	if fmt.Sprint(v["unrendered"]) != "[cutoff]" {
		t.Errorf("a MIDI file holds no filter, and it says %v", v["unrendered"])
	}
}

func TestWhatIsNotRenderedIsSaid(t *testing.T) {
	v := rendered(t, `s("bd bell2").squiz(2)`, map[string]any{"seconds": 1.0})
	if fmt.Sprint(v["unrendered"]) != "[sound bell2 squiz]" && fmt.Sprint(v["unrendered"]) != "[squiz]" {
		t.Errorf("unrendered is %v", v["unrendered"])
	}
}

func TestWhatCannotBeRendered(t *testing.T) {
	for _, c := range []struct {
		code string
		args map[string]any
		want string
	}{
		{`note("c e`, nil, "line 1"},
		{`s("bd"`, nil, "this code does not play"},
		{``, nil, "this code does not play"},
		{`s("bd")`, map[string]any{"seconds": 601.0}, "at most 600"},
		{`s("bd")`, map[string]any{"seconds": 0.0}, "more than 0"},
		{`s("bd")`, map[string]any{"bpm": 0.0}, "between 1 and 999"},
		{`s("bd")`, map[string]any{"format": "mp3"}, `"wav" or "midi"`},
		{`s("bd*100000")`, map[string]any{"seconds": 600.0}, "too many"},
		{`s("bd").fast(60000)`, map[string]any{"seconds": 8.0}, "too many"},
		{`stack(...Array(10))`, nil, "this code does not play"},
		{`note("[` + strings.Repeat("c,", 900) + `c]").s("sine")`, map[string]any{"seconds": 2.0}, "notes sound at once"},
	} {
		r := render(t.Context(), c.code, c.args)
		if r.Outcome != run.Failure || !strings.Contains(r.Message, c.want) {
			t.Errorf("%.60s %v: %s %q, which should say %q", c.code, c.args, r.Outcome, r.Message, c.want)
		}
	}
	r := strudel.New(strudel.Config{}).Call(t.Context(), &agent.Call{Callee: signature("strudel.render"), Text: types.Parts{"s(", types.Secret{Name: "key"}, ")"}, Emit: func(agent.Progress) {}})
	if r.Outcome != run.Failure || !strings.Contains(r.Message, "without secrets") {
		t.Errorf("code with a secret in it: %s %q", r.Outcome, r.Message)
	}
}

// A render that is cancelled ends at once, in whatever it is doing: waiting for its turn, asking the pattern, playing.
func TestARenderIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	replies := make(chan agent.Reply)
	started := make(chan struct{}, 100)
	count := 2*runtime.GOMAXPROCS(0) + 2 // more than are played at a time
	for range count {
		go func() {
			replies <- strudel.New(strudel.Config{}).Call(ctx, &agent.Call{Callee: signature("strudel.render"), Args: map[string]any{"code": fourVoices, "seconds": 600.0}, Emit: func(agent.Progress) { started <- struct{}{} }})
		}()
	}
	<-started // one plays, which takes many seconds
	cancel()
	begun := time.Now()
	for range count {
		if r := <-replies; r.Outcome != run.Stopped {
			t.Errorf("it ended with %s %q", r.Outcome, r.Message)
		}
	}
	if took := time.Since(begun); took > 5*time.Second { // a free machine takes a hundredth of that; one that plays on takes minutes
		t.Errorf("they took %v to end", took)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 0)
	defer cancel()
	if r := render(ctx, fourVoices, nil); r.Outcome != run.Timeout {
		t.Errorf("without time it ended with %s %q", r.Outcome, r.Message)
	}
}

// Renders leave a processor to everything else.
func TestRendersAreBounded(t *testing.T) {
	var mu sync.Mutex
	playing, most := 0, 0
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			strudel.New(strudel.Config{}).Call(t.Context(), &agent.Call{Callee: signature("strudel.render"), Args: map[string]any{"code": `s("bd*4")`, "seconds": 5.0}, Emit: func(agent.Progress) {
				mu.Lock()
				defer mu.Unlock()
				playing++
				most = max(most, playing)
			}})
			mu.Lock()
			defer mu.Unlock()
			playing--
		})
	}
	done.Wait()
	// A call that has left its place may not have been counted off yet, hence the factor.
	if limit := 2 * max(runtime.GOMAXPROCS(0)-1, 1); most > limit {
		t.Errorf("%d played at once", most)
	}
}

// BenchmarkRenderSixteenSeconds is the whole call: reading the code, asking for its events, playing, drawing. x-real-time is how many times faster than music
// it is.
func BenchmarkRenderSixteenSeconds(b *testing.B) {
	for b.Loop() {
		rendered(b, fourVoices, map[string]any{"seconds": 16.0})
	}
	b.ReportMetric(16/(b.Elapsed()/time.Duration(b.N)).Seconds(), "x-real-time")
}
