package form

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

func kind(k types.Kind) types.Type { return types.Type{Kind: k} }

var (
	class = types.Type{Kind: types.Enum, Values: []string{"eco", "first"}}
	text  = kind(types.String)
	leg   = types.Type{Kind: types.Record, Fields: []types.Field{{Name: "to", Type: text}, {Name: "km", Type: types.Type{Kind: types.Float, Optional: true}}}}
	trip  = types.Type{
		Kind: types.Record,
		Fields: []types.Field{
			{Name: "city", Type: text, Doc: "where to"}, {Name: "days", Type: kind(types.Int)}, {Name: "class", Type: class},
			{Name: "tags", Type: types.Type{Kind: types.List, Elem: &text}}, {Name: "legs", Type: types.Type{Kind: types.List, Elem: &leg}},
		},
		Musts: []types.Must{{Expr: "days in 1..30", Else: "1 to 30 days"}},
	}
)

// talk types lines into a form and gives what a terminal shows, what is typed set in ⟨⟩.
func talk(f run.Form, lines ...string) (shown string, value any, reason string, done bool) {
	d := New(f)
	defer d.Close()
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(d.Prompt() + "⟨" + line + "⟩\n")
		var err error
		if done, err = d.Line(line); err != nil {
			b.WriteString("! " + err.Error() + "\n")
		}
		if done {
			break
		}
	}
	value, reason = d.Answer()
	return b.String(), value, reason, done
}

func TestAFormIsAskedFieldByField(t *testing.T) {
	shown, value, _, done := talk(run.Form{Kind: "ask", Type: trip}, "Oslo", "three", "40", "2", "a", "", "yes", "Bergen", "", "maybe", "no", "3")
	want := `  where to
  city (text): ⟨Oslo⟩
  days (whole number): ⟨three⟩
! "three" is not a whole number
  days (whole number): ⟨40⟩
  class:  1 eco  2 first
  class (1-2): ⟨2⟩
  tags 1 (text, empty: no more): ⟨a⟩
  tags 2 (text, empty: no more): ⟨⟩
  legs 1: is there one? [yes/no] ⟨yes⟩
  legs 1, to (text): ⟨Bergen⟩
  legs 1, km (number, empty: none): ⟨⟩
  legs 2: is there one? [yes/no] ⟨maybe⟩
! please answer yes or no
  legs 2: is there one? [yes/no] ⟨no⟩
! /days: 1 to 30 days
  days (whole number): ⟨3⟩
`
	if diff := cmp.Diff(want, shown); diff != "" || !done {
		t.Errorf("done: %v\n%s", done, diff)
	}
	answer := map[string]any{"city": "Oslo", "days": 3, "class": "first", "tags": []any{"a"}, "legs": []any{map[string]any{"to": "Bergen", "km": nil}}}
	if diff := cmp.Diff(any(answer), value); diff != "" {
		t.Error(diff)
	}
}

func TestAnswersOfEveryKind(t *testing.T) {
	record := map[string]any{"to": "Oslo", "km": 1.5}
	whole := `{"to": "Oslo", "km": 1.5}`
	fill := run.Form{Kind: run.FillForm, Type: leg}
	numbers := types.Type{Kind: types.List, Elem: &types.Type{Kind: types.Int}}
	cut := run.Form{Kind: run.InterruptedForm, Choices: []string{"done", "again", "fail"}, Type: kind(types.Int)}
	for name, tt := range map[string]struct {
		form   run.Form
		lines  []string
		want   any
		reason string
		says   string // of an error on the way
	}{
		"yes":                     {form: run.Form{Kind: run.ApproveForm}, lines: []string{"hm", "Yes"}, want: "yes", says: "please answer yes or no"},
		"no, and why":             {form: run.Form{Kind: run.ApproveForm}, lines: []string{"no, it is too long"}, want: "no", reason: "it is too long"},
		"a choice":                {form: run.Form{Kind: "choose", Choices: []string{"red", "blue"}}, lines: []string{"bleu", "BLUE"}, want: "blue", says: `did you mean "blue"?`},
		"a number":                {form: run.Form{Kind: "ask", Type: kind(types.Int)}, lines: []string{"1.5", "2"}, want: 2, says: "is not a whole number"},
		"an enum":                 {form: run.Form{Kind: "ask", Type: class}, lines: []string{"3", "2"}, want: "first", says: "by its number or name"},
		"nothing":                 {form: run.Form{Kind: "ask", Type: types.Maybe(kind(types.Int))}, lines: []string{""}, want: nil},
		"a text as it is":         {form: run.Form{Kind: "ask", Type: text}, lines: []string{"", " 12 "}, want: " 12 ", says: "please type an answer"},
		"a list":                  {form: run.Form{Kind: "ask", Type: numbers}, lines: []string{"1", "x", "2", ""}, want: []any{1, 2}, says: "is not a whole number"},
		"a list at once":          {form: run.Form{Kind: "ask", Type: numbers}, lines: []string{`[1, "x"]`, "[1, 2]"}, want: []any{1, 2}, says: `/1: expected int, found "x"`},
		"a record at once":        {form: run.Form{Kind: "ask", Type: leg}, lines: []string{`{"to": 1}`, whole}, want: record, says: "/to: expected string"},
		"a record, too late":      {form: run.Form{Kind: "ask", Type: leg}, lines: []string{"Oslo", whole, "1.5"}, want: record, says: "is not a number"},
		"a form that is declined": {form: fill, lines: []string{"Oslo", "decline"}, want: run.Decline},
		"a form that is filled":   {form: fill, lines: []string{"Oslo", "1.5"}, want: record},
		"what is accepted":        {form: run.Form{Kind: run.FillForm, Type: kind(types.Record)}, lines: []string{"no", "accept"}, want: map[string]any{}, says: "accept/decline"},
		"done with its value":     {form: cut, lines: []string{"done x", "done 3"}, want: map[string]any{"done": 3}, says: `expected int, found "x"`},
		"again":                   {form: cut, lines: []string{"again please", "again"}, want: "again", says: "done (with the value"},
	} {
		t.Run(name, func(t *testing.T) {
			shown, value, reason, done := talk(tt.form, tt.lines...)
			if !done || !cmp.Equal(value, tt.want) || reason != tt.reason || !strings.Contains(shown, tt.says) {
				t.Errorf("%v: %#v, %q\n%s", done, value, reason, shown)
			}
		})
	}
}

// A dialogue that is closed in the midst leaves nothing behind.
func TestADialogueMayBeLeft(t *testing.T) {
	for _, lines := range [][]string{nil, {"Oslo"}, {"Oslo", "3", "1", "x"}} {
		if _, value, _, done := talk(run.Form{Kind: "ask", Type: trip}, lines...); done || value != nil {
			t.Errorf("after %q: %v", lines, value)
		}
	}
}

func TestSample(t *testing.T) {
	want := `{"city": "…", "days": 0, "class": "eco", "tags": ["…"], "legs": [{"to": "…", "km": 0}]}`
	if got := Sample(trip); got != want {
		t.Errorf("got %s", got)
	}
}

func TestWhatAYesLetsHappen(t *testing.T) {
	f := run.Form{Kind: run.ApproveForm, More: 2, Actions: []run.Action{
		{Path: "output/then", Agent: "http.post", Sent: []run.Sent{
			{Name: "url", Value: []byte(`"https://example.com/\u003ca\u003e"`)}, {Name: "body", Value: []byte(`"one\ntwo \u001b[2J"`)},
			{Name: "headers", Value: []byte(`{"k":"‹secret token›"}`)}, {Name: "query", Unknown: true},
		}},
		{Path: "x", Agent: "shell", Sent: []run.Sent{{Name: "argv", Value: []byte(`["` + strings.Repeat("x", 3000) + `"]`)}}},
	}}
	want := `yes: http.post  (output/then)
  url: https://example.com/<a>
  body: 
    one
    two ␛[2J
  headers: {"k":"‹secret token›"}
  query: not known before the answer
yes: shell  (x)
  argv: ["` + strings.Repeat("x", 1998) + `
    … and 1004 characters more: slop runs show --json has them
yes: and 2 more calls that are not shown`
	if diff := cmp.Diff(want, strings.Join(Actions(f), "\n")); diff != "" {
		t.Error(diff)
	}
}
