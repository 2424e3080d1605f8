package jsonvalue_test

import (
	"reflect"
	"testing"

	"github.com/slopstudios/slop/runtime/jsonvalue"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]any{
		`3`: 3, `3.0`: 3.0, `1e2`: 100.0, `-0`: 0.0, `9223372036854775808`: 9223372036854775808.0, `null`: nil, ` "ü" `: "ü",
		`{"a":[1,2.5,{"b":true}]}`: map[string]any{"a": []any{1, 2.5, map[string]any{"b": true}}},
	} {
		got, err := jsonvalue.Parse([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %#v, %v; want %#v", text, got, err, want)
		}
	}
	for _, text := range []string{``, `{`, `1 2`, `{} x`, `[1e999]`, `{"a":1e999}`, `nul`} {
		if v, err := jsonvalue.Parse([]byte(text)); err == nil {
			t.Errorf("%s was read as %v", text, v)
		}
	}
}

func TestText(t *testing.T) {
	if got, err := jsonvalue.Text(map[string]any{"b": "<&>", "a": []any{1, 1.5, nil}}); got != `{"a":[1,1.5,null],"b":"<&>"}` || err != nil {
		t.Error(got, err)
	}
	if _, err := jsonvalue.Text(func() {}); err == nil {
		t.Error("a func has no JSON")
	}
}
