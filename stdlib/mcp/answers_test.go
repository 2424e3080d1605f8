package mcp

import (
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/jsonvalue"
)

func TestSchemaOfAnswers(t *testing.T) {
	t.Parallel()
	chain := `{"$ref":"#/$defs/0","$defs":{"60":{}`
	for i := range 60 {
		chain += strings.NewReplacer("I", string(rune('0'+i/10))+string(rune('0'+i%10)), "N", string(rune('0'+(i+1)/10))+string(rune('0'+(i+1)%10))).Replace(`,"I":{"anyOf":[{"$ref":"#/$defs/N"},{"$ref":"#/$defs/N"}]}`)
	}
	chain = strings.Replace(chain, "#/$defs/0\"", "#/$defs/00\"", 1) + "}}"
	tree := `{"type":"object","properties":{"value":{"type":"integer","minimum":1},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["value"],"additionalProperties":false}`
	for name, c := range map[string]struct{ schema, answer, want string }{
		"good":              {tree, `{"value":1,"next":{"value":2.0,"next":null}}`, ""},
		"large":             {tree, `{"value":90071992547409930000000}`, ""},
		"wrong type":        {tree, `{"value":"a"}`, `/properties/value: type: a has type "string", want "integer"`},
		"missing":           {tree, `{}`, `root: required: missing properties: ["value"]`},
		"too small":         {tree, `{"value":0}`, "/properties/value: minimum: 0/1 is less than 1.000000"},
		"deep":              {`{"type":"array","items":{"$ref":"#/$defs/a~1b"},"$defs":{"a/b":{"enum":["x"]}}}`, `["x","y"]`, "/$defs/a~1b: enum: y does not equal any of: [x]"},
		"draft 7":           {`{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}]}`, `[1]`, `/items/0: type: 1 has type "integer", want "string"`},
		"never":             {`false`, `1`, "root: not: validated against <anonymous schema>"},
		"nothing":           {``, `1`, ""},
		"other draft":       {`{"$schema":"http://json-schema.org/draft-04/schema#","type":"string"}`, `1`, ""},
		"elsewhere":         {`{"$ref":"https://example.com/a.json"}`, `1`, ""},
		"bad pattern":       {`{"type":"string","pattern":"("}`, `1`, ""},
		"itself":            {`{"$ref":"#"}`, `1`, ""},
		"circle":            {`{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"not":{"$ref":"#/$defs/b"}},"b":{"if":{"$ref":"#/$defs/a"}}}}`, `1`, ""},
		"circle by name":    {`{"$defs":{"a":{"$anchor":"a","$ref":"#a"}},"$ref":"#a"}`, `1`, ""},
		"circle of dynamic": {`{"$dynamicAnchor":"a","$dynamicRef":"#a"}`, `1`, ""},
		"circle by id":      {`{"$id":"https://example.com/","$defs":{"a":{"$id":"a","$ref":"#"}},"$ref":"#/$defs/a"}`, `1`, ""},
		"circle by its id":  {`{"$id":"https://example.com/","$ref":"https://example.com/"}`, `1`, ""},
		"thicket":           {chain, `1`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			v, err := jsonvalue.Parse([]byte(c.answer))
			if err != nil {
				t.Fatal(err)
			}
			if s := compile([]byte(c.schema)); s != nil {
				if err := s.Validate(v); err != nil {
					got = problem(err)
				}
			}
			if got != c.want {
				t.Errorf("it says %q, not %q", got, c.want)
			}
		})
	}
}
