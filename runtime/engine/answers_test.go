package engine

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
)

var (
	text  = types.Type{Kind: types.String}
	whole = types.Type{Kind: types.Int}
	point = types.Type{Kind: types.Record, Name: "Point", Fields: []types.Field{{Name: "x", Type: whole}, {Name: "label", Type: types.Type{Kind: types.String, Optional: true}}}}
	mood  = types.Type{Kind: types.Enum, Values: []string{"warm", "cold"}}
)

func TestReadFindsTheJSONInAText(t *testing.T) {
	want := map[string]any{"x": 3, "label": nil}
	for _, answer := range []string{
		`{"x": 3}`, "  {\"x\": 3.0}\n", "```json\n{\"x\": 3}\n```", "```\n{\"x\": 3}\n```", "Sure:\n```json\n{\"x\": 3, \"more\": [1]}\n```\nDone!",
		`The point is {"x": 3}, I think {really}.`, `{"note": "no x"} but then {"x": 3}`, "```json\n{\"x\": 3}", "{broken\n```json\n{\"x\": 3}\n```",
		`A brace in a text: "}" and {"x": 3, "label": null}`,
	} {
		got, problems := read(point, answer)
		if len(problems) > 0 {
			t.Errorf("%q: %v", answer, problems)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q:\n%s", answer, diff)
		}
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		t      types.Type
		answer any
		want   string
	}{
		{point, "no idea", "found a text without it"},
		{point, `{"x": "3"}`, "x: expected int"},
		{point, "```json\n{\"y\": 1}\n```", "x: is missing"},
		{point, []any{1}, "expected"},
		{mood, "lukewarm", "warm"},
		{whole, "3.5", "int"},
	} {
		_, problems := read(c.t, c.answer)
		if len(problems) == 0 || !strings.Contains(strings.Join(problems, "; "), c.want) {
			t.Errorf("%v: got %q, want %q in it", c.answer, problems, c.want)
		}
	}
}

func TestReadPlainTexts(t *testing.T) {
	for _, c := range []struct {
		t      types.Type
		answer string
		want   any
	}{
		{mood, " warm\n", "warm"}, {mood, `"cold"`, "cold"}, {whole, "The answer is 42? ```42```", 42}, {text, `{"x": 3}`, `{"x": 3}`},
		{types.Type{Kind: types.Bool}, "true", true}, {types.Type{Kind: types.List, Elem: &whole}, "[1, 2.0]", []any{1, 2}},
	} {
		got, problems := read(c.t, c.answer)
		if len(problems) > 0 || !cmp.Equal(got, c.want) {
			t.Errorf("%q: got %v, %v, want %v", c.answer, got, problems, c.want)
		}
	}
}

func TestNormalSharesWhatIsNormal(t *testing.T) {
	list := []any{1, "a", map[string]any{"x": 1.5}}
	got, err := normal(list)
	if err != nil || &got.([]any)[0] != &list[0] {
		t.Errorf("a value of the language was copied: %v, %v", got, err)
	}
	raw := []any{json.Number("3"), json.Number("3.0"), json.Number("99999999999999999999"), []string{"a"}, map[string]any{"n": int64(5)}}
	got, err = normal(raw)
	want := []any{3, 3.0, 1e20, []any{"a"}, map[string]any{"n": 5}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, still := raw[0].(json.Number); !still {
		t.Error("normal changed what it was given")
	}
}

// forms of a secret in any text, wherever it stands and however it is cut.
func FuzzRedact(f *testing.F) {
	f.Add("s3cr3t/value", "before", "after", uint8(3))
	f.Add("aaaa", "aa", "aaa", uint8(1))
	f.Add("pass word", "", "", uint8(0))
	f.Fuzz(func(t *testing.T, secret, before, after string, cut uint8) {
		if len(secret) < agent.MinSecret || strings.Contains("‹secret NAME›", secret) {
			return
		}
		var r redactor
		r.learn("NAME", secret)
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret)} {
			whole := before + form + after
			got := r.text(whole)
			if leaked(got, form) {
				t.Errorf("%q in %q leaves %q", form, whole, got)
			}
			at := min(int(cut), len(whole))
			one, held := r.stream("", whole[:at])
			two, rest := r.stream(held, whole[at:])
			if shown := one + two + rest; leaked(shown, form) {
				t.Errorf("%q in %q cut at %d leaves %q", form, whole, at, shown)
			}
		}
	})
}

// leaked ignores what stands inside the replacement itself.
func leaked(text, form string) bool {
	return strings.Contains(strings.ReplaceAll(text, "‹secret NAME›", "\x01\x02\x03\x04\x05\x06"), form)
}

func TestShortSecretsAreNotLookedFor(t *testing.T) {
	var r redactor
	r.learn("pin", "123")
	if got := r.text("12345"); got != "12345" {
		t.Errorf("got %q", got)
	}
	if got := r.value([]any{"x"}); !cmp.Equal(got, []any{"x"}) {
		t.Errorf("got %v", got)
	}
}

func TestTheLongerSecretWins(t *testing.T) {
	var r redactor
	r.learn("short", "abcd")
	r.learn("long", "abcdefgh")
	if got := r.text("abcdefgh abcd"); got != "‹secret long› ‹secret short›" {
		t.Errorf("got %q", got)
	}
	got := r.value(map[string]any{"abcd": []any{"xabcdx", types.FileValue{Name: "abcd", Data: []byte("abcd"), Size: 4}}})
	want := map[string]any{"‹secret short›": []any{"x‹secret short›x", types.FileValue{Name: "‹secret short›", Data: []byte("‹secret short›"), Size: 18}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
