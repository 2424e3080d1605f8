package model_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/model"
)

func TestRead(t *testing.T) {
	r, err := model.Read(&agent.Call{Text: "Hi", System: "Be kind.", Args: map[string]any{"model": "m2", "max_tokens": 9, "temperature": 1, "effort": "low"}}, "m1", 100)
	if err != nil || r.Model != "m2" || r.MaxTokens != 9 || *r.Temperature != 1 || r.Effort != "low" || r.System != "Be kind." || r.Flat() != "Hi" || r.Shape != nil {
		t.Errorf("%+v %v", r, err)
	}
	r, err = model.Read(&agent.Call{Args: map[string]any{"prompt": "Hi"}, Repair: &run.Repair{Answer: map[string]any{"a": 1}, Problems: []string{"a: too small"}}}, "m1", 100)
	if err != nil || len(r.Turns) != 3 || !reflect.DeepEqual(r.Turns[1], model.Turn{Assistant: true, Text: `{"a":1}`}) || !strings.Contains(r.Turns[2].Text, "- a: too small\n") || !strings.Contains(r.Flat(), `{"a":1}`) {
		t.Errorf("%+v %v", r, err)
	}
	for _, c := range []*agent.Call{
		{}, {Text: " "}, {Text: types.Parts{"a", types.Secret{Name: "s"}}}, {Text: "a", Args: map[string]any{"effort": "huge"}}, {Text: "a", Args: map[string]any{"max_tokens": 0}},
	} {
		if _, err := model.Read(c, "", 1); err == nil {
			t.Errorf("%+v was read", c)
		}
	}
}

func TestShape(t *testing.T) {
	record := types.Type{Kind: types.Record, Fields: []types.Field{{Name: "a", Type: types.Type{Kind: types.Int}}, {Name: "b", Type: types.Type{Kind: types.String, Optional: true}}}}
	for _, c := range []struct {
		as            types.Type
		bindable      bool
		schema, bound string
		want          any
	}{
		{record, true, `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":["string","null"]}},"required":["a","b"],"additionalProperties":false}`, `{"a":1,"b":null}`, map[string]any{"a": 1, "b": nil}},
		{types.Type{Kind: types.List, Elem: &types.Type{Kind: types.Int}}, true, `{"type":"object","properties":{"value":{"type":"array","items":{"type":"integer"}}},"required":["value"],"additionalProperties":false}`, `{"value":[1,2]}`, []any{1, 2}},
		{types.Type{Kind: types.Enum, Values: []string{"x", "y"}}, true, `{"type":"object","properties":{"value":{"type":"string","enum":["x","y"]}},"required":["value"],"additionalProperties":false}`, `{"value":"x"}`, "x"},
		{types.Type{Kind: types.Any}, false, "", `{"value":"x"}`, "x"},
	} {
		r, err := model.Read(&agent.Call{Text: "q", As: &c.as}, "", 1)
		if err != nil || r.Shape == nil || r.Shape.Bindable != c.bindable {
			t.Fatalf("%v: %+v %v", c.as, r.Shape, err)
		}
		if got := string(r.Shape.Schema(true)); c.bindable && got != c.schema {
			t.Errorf("schema %s\nwant   %s", got, c.schema)
		}
		if got := r.Shape.Value(c.bound, true); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s is read as %#v", c.bound, got)
		}
		if !strings.Contains(r.Instruct().Turns[0].Text, string(types.Schema(c.as))) || r.Turns[0].Text != "q" {
			t.Error(r.Instruct().Turns[0].Text)
		}
	}
	r, _ := model.Read(&agent.Call{Text: "q", As: &record}, "", 1)
	for text, want := range map[string]any{
		"```json\n{\"a\":1}\n```": map[string]any{"a": 1}, "```\n[1]\n```": []any{1}, " {\"a\": 1.5}\n": map[string]any{"a": 1.5}, "Sure: {}": "Sure: {}", "```json": "```json",
	} {
		if got := r.Shape.Value(text, false); !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %#v", text, got)
		}
	}
	if r, _ := model.Read(&agent.Call{Text: "q", As: &types.Type{Kind: types.String}}, "", 1); r.Shape != nil || r.Shape.Value(`"x"`, false) != `"x"` {
		t.Error("a string needs no shape")
	}
}

func TestCharge(t *testing.T) {
	price := &types.Price{Input: 2, Output: 10, CacheRead: 0.1, CacheWrite: 2.5}
	for _, c := range []struct {
		usage  run.Usage
		price  *types.Price
		cost   int64
		source run.Source
	}{
		{run.Usage{Input: 100, Output: 10, CacheRead: 1000, CacheWrite: 10, Tokens: run.Reported}, price, 425, run.Estimated},
		{run.Usage{Input: 1, Tokens: run.Reported}, &types.Price{Input: 0.1}, 1, run.Estimated},
		{run.Usage{CacheRead: 10, Tokens: run.Reported}, &types.Price{Input: 3}, 30, run.Estimated},
		{run.Usage{Tokens: run.Unknown}, price, 0, run.Unknown},
		{run.Usage{Input: 5, Tokens: run.Reported}, nil, 0, run.Unknown},
		{run.Usage{Tokens: run.Unknown}, &types.Price{}, 0, ""},
	} {
		model.Charge(&c.usage, c.price)
		if int64(c.usage.Cost) != c.cost || c.usage.CostSource != c.source {
			t.Errorf("%+v", c.usage)
		}
	}
}
