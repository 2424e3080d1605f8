package mcp

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// What a model is told of a tool is what its server lists, under the names that the signature has, and without what providers refuse.
func TestSchemasForModels(t *testing.T) {
	for name, c := range map[string]struct{ input, want string }{
		"as it is":      {`{"type":"object","properties":{"q":{"type":"string","pattern":"^a"}},"required":["q"],"additionalProperties":false}`, `{"type":"object","properties":{"q":{"type":"string","pattern":"^a"}},"required":["q"],"additionalProperties":false}`},
		"other names":   {`{"$schema":"x","type":"object","properties":{"a-b":{"type":"integer"},"c":{"type":"string"}},"required":["a-b"]}`, `{"type":"object","properties":{"a_b":{"type":"integer"},"c":{"type":"string"}},"required":["a_b"]}`},
		"alternatives":  {`{"type":"object","properties":{"q":{"type":"string"}},"anyOf":[{"required":["q"]}]}`, `{"type":"object","properties":{"arguments":{"type":"object","properties":{"q":{"type":"string"}},"anyOf":[{"required":["q"]}]}}}`},
		"none":          {`{"type":"object"}`, `{"type":"object","properties":{}}`},
		"no list":       {`{"type":"object","additionalProperties":true}`, `{"type":"object","properties":{"arguments":{"type":"object","additionalProperties":true}}}`},
		"none whatever": {``, ``},
	} {
		c0 := &Config{Name: "s"}
		sig := c0.tool(Tool{Name: "x", Description: " Does\nit. ", Input: json.RawMessage(c.input)}, "x").signature
		tool := sig.AsTool()
		var got, want any
		if err := json.Unmarshal(tool.Input, &got); err != nil {
			t.Errorf("%s: %s: %v", name, tool.Input, err)
		}
		if c.want != "" && (json.Unmarshal([]byte(c.want), &want) != nil || !reflect.DeepEqual(got, want)) {
			t.Errorf("%s: %s", name, tool.Input)
		}
		if tool.Doc != "Does\nit." || sig.Doc != "Does it." {
			t.Errorf("%q, %q", tool.Doc, sig.Doc)
		}
	}
	c := &Config{Name: "s"}
	if doc := c.tool(Tool{Name: "x", Description: strings.Repeat("ä", 9000)}, "x").signature.AsTool().Doc; len([]rune(doc)) != maxManual+1 {
		t.Errorf("%d runes", len([]rune(doc)))
	}
}
