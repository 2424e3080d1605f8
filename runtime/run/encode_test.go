package run_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

var at = time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)

var values = []any{
	nil, true, false, 0, -1, math.MaxInt, math.MinInt, 3.0, -0.5, 1e300, math.SmallestNonzeroFloat64, math.Copysign(0, -1), "", "a\"b\\c\n\x00\u2028<é>", "\xff\xfe",
	[]any{}, []any{1, 1.0, "1", nil, []any{}}, map[string]any{}, map[string]any{"a": 1, "b": map[string]any{"c": 2.0}},
	map[string]any{"$secret": "not one"}, map[string]any{"$map": map[string]any{"$x": 1}}, map[string]any{"$a": 1, "b": 2},
	types.Secret{Name: "token"}, types.Parts{"Bearer ", types.Secret{Name: "token"}},
	types.FileValue{Name: "a.txt", Size: 3, Type: "text/plain", SHA256: "00", Data: []byte{0, 1, 255}},
}

func TestValuesComeBackExactly(t *testing.T) {
	for _, v := range values {
		raw, err := run.EncodeValue(v)
		if err != nil {
			t.Fatalf("%#v: %v", v, err)
		}
		back, err := run.DecodeValue(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(v, back); diff != "" {
			t.Errorf("%s: %s", raw, diff)
		}
		again, _ := run.EncodeValue(back)
		if string(raw) != string(again) {
			t.Errorf("%s became %s", raw, again)
		}
	}
	for _, v := range []any{math.NaN(), math.Inf(1), int64(3), struct{}{}, []string{"x"}} {
		if raw, err := run.EncodeValue(v); err == nil {
			t.Errorf("%#v was written as %s", v, raw)
		}
	}
}

func facts() []run.Fact {
	bodies := []run.Body{
		&run.Started{Plan: "abc", Inputs: map[string]any{"x": 3.0, "y": []any{1}}, Options: run.Options{Budget: []plan.Amount{{Calls: 3}}, Timeout: time.Minute}, Seed: math.MaxUint64, Machine: 1, Fork: &run.Fork{Run: "r", Seq: 3}},
		&run.Started{Plan: "abc"},
		&run.CallStarted{Path: `m[3]/"bug"/x~1`, Attempt: 2, Key: "k", Fingerprint: "f", Reserved: run.Amount{Money: 5, Tokens: 6, Calls: 1}},
		&run.CallEnded{Path: "a", Attempt: 1, Usage: run.Usage{Calls: 1, Tokens: run.Unknown}},
		&run.Asked{Path: "a", Form: run.Form{Kind: "choose", Text: "which?", Choices: []string{"a", "b"}, Type: types.Type{Kind: types.String}}, Deadline: at},
		&run.TimerFired{Timer: "a"},
		&run.PauseAsked{By: "me"}, &run.ResumeAsked{}, &run.CancelAsked{Reason: "enough"},
		&run.Finished{Status: run.Failed, Error: &run.Error{Code: "E_FAIL", Message: "no"}},
	}
	for _, v := range values {
		bodies = append(bodies, &run.CallDone{Path: "a", Attempt: 1, Value: v, Usage: run.Usage{Calls: 1, Cost: 3, CostSource: run.Reported}},
			&run.CallFailed{Path: "a", Attempt: 1, Outcome: run.Invalid, Message: "m", Problems: []string{"p"}, Answer: v, RetryAfter: time.Second},
			&run.Answered{Path: "a", Value: v}, &run.Computed{Path: "a", Value: v}, &run.Finished{Status: run.Succeeded, Value: v})
	}
	var out []run.Fact
	for i, b := range bodies {
		out = append(out, run.Fact{Seq: run.Seq(i + 1), At: at, Body: b})
	}
	return out
}

func TestFactsComeBackExactly(t *testing.T) {
	for _, f := range facts() {
		raw, err := run.EncodeFact(f)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		back, err := run.DecodeFact(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(f, back); diff != "" {
			t.Errorf("%s: %s", raw, diff)
		}
		if !strings.HasPrefix(string(raw), `{"v":1,"seq":`) {
			t.Errorf("%s does not begin with its version", raw)
		}
	}
}

func TestBlobsOfAFact(t *testing.T) {
	large := types.Large{SHA256: "aa", Size: 1 << 20}
	file := types.FileValue{Name: "f", Size: 1 << 20, SHA256: "bb"}
	here := types.FileValue{Name: "g", Size: 1, SHA256: "cc", Data: []byte("x")}
	var got []string
	use := func(hash string) { got = append(got, hash) }
	run.Fact{Body: &run.Started{Plan: "plan", Inputs: map[string]any{"doc": file}}}.Blobs(use)
	run.Fact{Body: &run.CallDone{Value: map[string]any{"list": []any{large, "text", here}}}}.Blobs(use)
	run.Fact{Body: &run.TimerFired{}}.Blobs(use)
	if want := []string{"plan", "bb", "aa"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, v := range []any{large, file, []any{large}} {
		raw, err := run.EncodeValue(v)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := run.DecodeValue(raw); err != nil || cmp.Diff(v, back) != "" {
			t.Errorf("%s was read as %v, %v", raw, back, err)
		}
	}
	if _, err := run.DecodeValue([]byte(`{"$large":{"sha256":3}}`)); err == nil {
		t.Error("a broken reference was read")
	}
}

func TestUnknownFactsAreRefused(t *testing.T) {
	for _, s := range []string{``, `{}`, `{"v":2,"seq":1,"at":"2026-11-22T10:00:00Z","kind":"call_done"}`, `{"v":1,"kind":"nonsense"}`, `[]`, `{"v":1,"kind":"call_done","value":{"$secret":3}}`,
		`{"v":1,"kind":"call_done","value":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`} {
		if f, err := run.DecodeFact([]byte(s)); err == nil {
			t.Errorf("%.60s was read as %s", s, f)
		}
	}
}

func FuzzDecodeFact(f *testing.F) {
	for _, fact := range facts() {
		raw, _ := run.EncodeFact(fact)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fact, err := run.DecodeFact(data)
		if err != nil {
			return
		}
		once, err := run.EncodeFact(fact)
		if err != nil {
			return // such as a year over 9999 after the shift to UTC
		}
		again, err := run.DecodeFact(once)
		if err != nil {
			t.Fatalf("%s is not read back: %v", once, err)
		}
		if twice, err := run.EncodeFact(again); err != nil || string(twice) != string(once) {
			t.Fatalf("%s became %s (%v)", once, twice, err)
		}
	})
}

func TestIDsSortByTime(t *testing.T) {
	var ids []run.ID
	for i := range 100 {
		ids = append(ids, run.NewID(at.Add(time.Duration(i)*time.Second), [10]byte{byte(255 - i)}))
	}
	if !slices.IsSorted(ids) {
		t.Errorf("not in order: %v", ids)
	}
	if a, b := run.NewID(at, [10]byte{9: 1}), run.NewID(at, [10]byte{9: 2}); a == b || len(a) != 26 {
		t.Errorf("%s and %s should be two IDs of 26 characters", a, b)
	}
}

func TestPaths(t *testing.T) {
	p := run.Path("").Join("poem").Round(2).Join("review")
	for _, c := range []struct{ got, want run.Path }{
		{p, "poem#2/review"}, {run.Path("notes").Item(3).Join("reader"), "notes[3]/reader"}, {run.Path("quote").Else(1), "quote/else"}, {run.Path("quote").Else(2), "quote/else2"},
		{run.Path("total").Group(1, 0), "total^1[0]"}, {p.Repaired(1), "poem#2/review~1"}, {p.Repaired(1).Step(), p}, {p.Step(), p}, {run.Path(`a/"x~1"`).Step(), `a/"x~1"`},
		{p.Repaired(1).Question(2), "poem#2/review~1?2"}, {p.Repaired(1).Question(2).Step(), p}, {run.Path(`a/"x?1"`).Step(), `a/"x?1"`}, {run.Path("a?").Step(), "a?"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestUsageAddsWithoutInventingFigures(t *testing.T) {
	sum := run.Usage{Calls: 1, Input: 10, Tokens: run.Reported, Cost: 5, CostSource: run.Reported, Model: "a"}.Add(run.Usage{Calls: 1, Tokens: run.Unknown, Model: "b"})
	want := run.Usage{Calls: 2, Input: 10, Tokens: run.Unknown, Cost: 5, CostSource: run.Reported, Model: "several"}
	if sum != want {
		t.Errorf("got %+v, want %+v", sum, want)
	}
	reserved := run.Amount{Money: 100, Tokens: 50, Calls: 1}
	if got := sum.Spent(reserved, ""); got != (run.Amount{Money: 5, Tokens: 50, Calls: 1}) {
		t.Errorf("an unknown figure must count as all that was reserved, got %+v", got)
	}
	if got := sum.Spent(reserved, "cache"); got != (run.Amount{}) {
		t.Errorf("a cache hit costs nothing, got %+v", got)
	}
}
