package strudel_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/strudel"
	"github.com/slopstudios/slop/stdlib/strudel/song"
)

func ask(ctx context.Context, capability, code string, args map[string]any) agent.Reply {
	return strudel.New(strudel.Config{}).Call(ctx, &agent.Call{Callee: &types.Signature{Name: capability, Use: capability}, Text: code, Args: args, Emit: func(agent.Progress) {}})
}

func TestValidate(t *testing.T) {
	got := ask(t.Context(), "strudel.validate", "$: s(\"bd\")\n$: note(\"c\").gainn(1)", nil)
	want := map[string]any{
		"valid": false, "problem": "line 2, column 14: there is no .gainn (did you mean .gain?)",
		"problems": []any{map[string]any{"line": 2, "column": 14, "message": "there is no .gainn", "suggestion": "did you mean .gain?"}},
	}
	if diff := cmp.Diff(want, got.Value); diff != "" {
		t.Error(diff)
	}
	got = ask(t.Context(), "strudel.validate", "s(\"bd sd\")", nil)
	if diff := cmp.Diff(map[string]any{"valid": true, "problem": "", "problems": []any{}}, got.Value); diff != "" {
		t.Error(diff)
	}
}

// Events are those that begin, in order, each with its whole length, in cycles and in seconds.
func TestEvents(t *testing.T) {
	got := ask(t.Context(), "strudel.events", "setcps(2)\nstack(s(\"bd/2\"), note(\"~ c\").lpf(300))", map[string]any{"cycles": 2})
	event := func(begin, end float64, whole string, at, lasts float64, values map[string]any) map[string]any {
		return map[string]any{"begin": begin, "end": end, "whole": whole, "time": at, "duration": lasts, "values": values}
	}
	note := map[string]any{"note": "c", "cutoff": 300.0}
	want := []any{
		event(0, 2, "0 2", 0, 1, map[string]any{"s": "bd"}),
		event(0.5, 1, "1/2 1", 0.25, 0.25, note),
		event(1.5, 2, "3/2 2", 0.75, 0.25, note),
	}
	if diff := cmp.Diff(want, got.Value); diff != "" {
		t.Error(diff)
	}
	if got = ask(t.Context(), "strudel.events", "s(\"bd", nil); got.Outcome != run.Failure || !strings.Contains(got.Message, "line 1, column 3") {
		t.Errorf("code that does not play gives %+v", got)
	}
	if got = ask(t.Context(), "strudel.events", "s(\"bd\")", map[string]any{"cycles": 0}); got.Outcome != run.Failure {
		t.Errorf("no cycles give %+v", got)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if got = ask(stopped, "strudel.events", "s(\"bd\")", nil); got.Outcome != run.Stopped {
		t.Errorf("a call that was stopped gives %+v", got)
	}
}

// The code that std/compose shows a model plays.
func TestTheExamplesOfComposePlay(t *testing.T) {
	text, err := os.ReadFile("../flows/compose.slop")
	if err != nil {
		t.Fatal(err)
	}
	var code []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if _, tempo, ok := strings.Cut(line, ": setcpm("); ok {
			code = append(code, "setcpm("+tempo)
		}
		if strings.HasPrefix(line, "$: ") {
			code = append(code, line)
		}
	}
	if len(code) != 4 {
		t.Fatalf("%d lines of code in the rules: %q", len(code), code)
	}
	if _, problems, err := song.Check(t.Context(), strings.Join(code, "\n")); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
