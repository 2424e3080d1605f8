package types

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

var (
	str     = Type{Kind: String}
	integer = Type{Kind: Int}
	float   = Type{Kind: Float}
	boolean = Type{Kind: Bool}
	nothing = Type{Kind: Nothing}
	anyT    = Type{}
)

func enum(values ...string) Type { return Type{Kind: Enum, Values: values} }

func record(fields ...Field) Type { return Type{Kind: Record, Fields: fields} }

func TestStringIsWhatAnAuthorWouldSay(t *testing.T) {
	review := record(Field{Name: "score", Type: integer})
	review.Name = "Review"
	for want, give := range map[string]Type{
		"list of string":                        ListOf(str),
		"list of list of int":                   ListOf(ListOf(integer)),
		`"bug" or "billing"`:                    enum("bug", "billing"),
		`"a", "b" or "c"`:                       enum("a", "b", "c"),
		`list of ("a" or "b")`:                  ListOf(enum("a", "b")),
		"Review":                                review,
		"Review or nothing":                     Maybe(review),
		"string or nothing":                     Maybe(str),
		"{score: int, notes: float}":            record(Field{Name: "score", Type: integer}, Field{Name: "notes", Type: float}),
		"nothing":                               Maybe(nothing),
		"any":                                   anyT,
		"any or nothing":                        Maybe(anyT),
		"empty list":                            ListOf(nothing),
		"{a: bool or nothing, b: list of file}": record(Field{Name: "a", Type: Maybe(boolean)}, Field{Name: "b", Type: ListOf(Type{Kind: File})}),
	} {
		if got := give.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestFits(t *testing.T) {
	wide := record(Field{Name: "a", Type: integer}, Field{Name: "b", Type: str})
	narrow := record(Field{Name: "a", Type: float})
	for _, c := range []struct {
		from, to Type
		want     bool
	}{
		{integer, float, true},
		{float, integer, false},
		{enum("x"), str, true},
		{str, enum("x"), false},
		{enum("x"), enum("y", "x"), true},
		{enum("x", "z"), enum("y", "x"), false},
		{str, Maybe(str), true},
		{Maybe(str), str, false},
		{Maybe(integer), Maybe(float), true},
		{nothing, Maybe(str), true},
		{nothing, str, false},
		{nothing, anyT, true},
		{wide, narrow, true},
		{narrow, wide, false},
		{narrow, record(Field{Name: "a", Type: float}, Field{Name: "b", Type: Maybe(str)}), false},
		{anyT, integer, true},
		{integer, anyT, true},
		{Maybe(anyT), str, false},
		{Maybe(str), anyT, true},
		{ListOf(integer), ListOf(float), true},
		{ListOf(nothing), ListOf(str), true},
		{ListOf(str), ListOf(integer), false},
		{str, ListOf(str), false},
		{boolean, str, false},
	} {
		if got := Fits(c.from, c.to); got != c.want {
			t.Errorf("Fits(%s, %s) = %v", c.from, c.to, got)
		}
	}
}

func TestMeet(t *testing.T) {
	for _, c := range []struct{ a, b, want Type }{
		{str, str, str},
		{integer, float, float},
		{enum("a"), enum("b", "a"), enum("a", "b")},
		{enum("a"), str, str},
		{nothing, str, Maybe(str)},
		{str, nothing, Maybe(str)},
		{Maybe(integer), float, Maybe(float)},
		{str, integer, anyT},
		{nothing, nothing, nothing},
		{ListOf(nothing), ListOf(str), ListOf(str)},
		{ListOf(integer), ListOf(float), ListOf(float)},
		{record(Field{Name: "a", Type: integer}), record(Field{Name: "a", Type: float}), record(Field{Name: "a", Type: float})},
		{record(Field{Name: "a", Type: integer}), record(Field{Name: "b", Type: integer}), anyT},
	} {
		if got := Meet(c.a, c.b); !Same(got, c.want) {
			t.Errorf("Meet(%s, %s) = %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

// anyType draws types that a script can declare.
func anyType(depth int) *rapid.Generator[Type] {
	return rapid.Custom(func(t *rapid.T) Type {
		kinds := []Kind{Any, String, Int, Float, Bool, Enum}
		if depth > 0 {
			kinds = append(kinds, List, Record)
		}
		ty := Type{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		switch ty.Kind {
		case List:
			ty = ListOf(anyType(depth-1).Draw(t, "item"))
		case Enum:
			ty.Values = rapid.SliceOfNDistinct(rapid.StringMatching(`[a-d]`), 1, 4, rapid.ID[string]).Draw(t, "values")
		case Record:
			names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-e]`), 1, 4, rapid.ID[string]).Draw(t, "names")
			for _, name := range names {
				ty.Fields = append(ty.Fields, Field{Name: name, Type: anyType(depth-1).Draw(t, name), Doc: rapid.SampledFrom([]string{"", "a <b> & c"}).Draw(t, "doc")})
			}
		}
		ty.Optional = ty.Kind != Any && rapid.Bool().Draw(t, "optional")
		return ty
	})
}

func TestEveryTypeFitsItselfAndWhatItMeets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyType(3).Draw(t, "a"), anyType(3).Draw(t, "b")
		if !Same(a, a) || !Fits(a, a) || !Fits(a, Maybe(a)) {
			t.Fatalf("%s does not fit itself", a)
		}
		m := Meet(a, b)
		if !Fits(a, m) || !Fits(b, m) {
			t.Fatalf("%s and %s meet at %s, which one of them does not fit", a, b, m)
		}
		if !Same(Meet(b, a), m) {
			t.Fatalf("Meet(%s, %s) = %s, the other way %s", a, b, m, Meet(b, a))
		}
	})
}

func TestSchemaReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyType(3).Draw(t, "type")
		for _, raw := range []json.RawMessage{Schema(want), SchemaStrict(want)} {
			got, err := FromSchema(raw)
			if err != nil {
				t.Fatal(err)
			}
			// {} cannot say "any or nothing": the language does not tell them apart when a value comes in.
			if diff := cmp.Diff(plainAny(want), plainAny(got)); diff != "" {
				t.Fatalf("%s\n%s", raw, diff)
			}
		}
	})
}

func plainAny(t Type) Type {
	if t.Kind == Any {
		return Type{}
	}
	if t.Elem != nil {
		return Type{Kind: t.Kind, Optional: t.Optional, Elem: ptr(plainAny(*t.Elem))}
	}
	fields := t.Fields
	t.Fields = nil
	for _, f := range fields {
		f.Type = plainAny(f.Type)
		t.Fields = append(t.Fields, f)
	}
	return t
}

func ptr[T any](v T) *T { return &v }

func TestSchemaIsAValidStrictSchema(t *testing.T) {
	ticket := record(
		Field{Name: "kind", Type: enum("bug", "other")},
		Field{Name: "urgent", Type: boolean, Doc: `true if "someone" is blocked <now>`},
		Field{Name: "note", Type: Maybe(str)},
	)
	want := `{"type":"object","properties":{"kind":{"type":"string","enum":["bug","other"]},` +
		`"urgent":{"description":"true if \"someone\" is blocked <now>","type":"boolean"},"note":{"type":"string"}},` +
		`"required":["kind","urgent"],"additionalProperties":false}`
	if got := string(Schema(ticket)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if strict := string(SchemaStrict(ticket)); !strings.Contains(strict, `"note":{"type":["string","null"]}`) || !strings.Contains(strict, `"required":["kind","urgent","note"]`) {
		t.Errorf("not every field is required: %s", strict)
	}
	rapid.Check(t, func(t *rapid.T) {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(Schema(anyType(3).Draw(t, "type")))))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("t.json", doc); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Compile("t.json"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFromSchema(t *testing.T) {
	for _, c := range []struct{ schema, want string }{
		{``, "any"},
		{`true`, "any"},
		{`{}`, "any"},
		{`{"type":"array"}`, "list of any"},
		{`{"type":"object"}`, "any"},
		{`{"type":["string","null"]}`, "string or nothing"},
		{`{"type":["string","integer"]}`, "any"},
		{`{"anyOf":[{"type":"integer"},{"type":"null"}]}`, "int or nothing"},
		{`{"anyOf":[{"type":"integer"},{"type":"number"}]}`, "float"},
		{`{"const":"a"}`, `"a"`},
		{`{"enum":["a","b",null]}`, `"a" or "b" or nothing`},
		{`{"enum":[1,2]}`, "any"},
		{`{"$ref":"https://example.com/s.json"}`, "any"},
		{`{"$ref":"#/$defs/A","$defs":{"A":{"type":"integer"}}}`, "int"},
		{`{"properties":{"a":{"type":"string","description":"x"},"b":{"type":"integer"}},"required":["b"]}`, "{a: string or nothing, b: int}"},
	} {
		got, err := FromSchema(json.RawMessage(c.schema))
		if err != nil || got.String() != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.schema, got, err, c.want)
		}
	}
}

func TestFromSchemaIsBounded(t *testing.T) {
	loop := `{"$ref":"#/$defs/A","$defs":{"A":{"type":"array","items":{"$ref":"#/$defs/A"}}}}`
	if got, err := FromSchema(json.RawMessage(loop)); err != nil || got.Kind != List {
		t.Errorf("a recursive schema: %s, %v", got, err)
	}
	var wide strings.Builder // every level has two ways to the next: 2^32 parts if nobody counts
	wide.WriteString(`{"$ref":"#/$defs/A","$defs":{"A":{"properties":{"x":{"$ref":"#/$defs/A"},"y":{"$ref":"#/$defs/A"}}}}}`)
	if _, err := FromSchema(json.RawMessage(wide.String())); err == nil {
		t.Error("a schema that doubles at each level was read whole")
	}
	for _, bad := range []string{`{`, `[]`, `"x"`, `{} {}`, `{"type":"array","items":3}`, strings.Repeat(`{"items":`, 100000), fmt.Sprintf(`{"x":%q}`, strings.Repeat("a", maxSchemaBytes))} {
		if got, err := FromSchema(json.RawMessage(bad)); err == nil {
			t.Errorf("%.40s was read as %s", bad, got)
		}
	}
}

// An agent is never any: whoever asks for one gets an agent, with all who it may be.
func TestAgents(t *testing.T) {
	of := func(names ...string) Type { return Type{Kind: Agent, Values: names} }
	text := Type{Kind: String}
	member := func(t Type) Type {
		return Type{Kind: Record, Fields: []Field{{Name: "who", Type: t}}}
	}
	for _, c := range []struct {
		from, to Type
		fits     bool
	}{
		{of("a"), of("b"), true}, {of("a"), anyT, true}, {anyT, of("a"), false}, {text, of("a"), false}, {of("a"), text, false},
		{anyT, ListOf(member(of("a"))), false}, {ListOf(anyT), ListOf(member(of("a"))), false}, {ListOf(member(of("b"))), ListOf(member(of("a"))), true},
		{Maybe(of("a")), of("b"), false},
	} {
		if got := Fits(c.from, c.to); got != c.fits {
			t.Errorf("%s fits %s: %t", c.from, c.to, got)
		}
	}
	met := Meet(ListOf(member(of("a", "b"))), ListOf(member(of("c", "a"))))
	if got := strings.Join(Agents(met), " "); got != "a b c" {
		t.Errorf("lists of agents meet in %q", got)
	}
	if named := Named(met); HoldsAgent(named) || named.String() != "list of {who: string}" {
		t.Errorf("without agents it is %s", named)
	}
}
