// Package types holds the types of the language and the signatures of what a script can call.
package types

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// Kind is the shape of a type.
type Kind uint8

// The kinds. Nothing is the type of a step that gave nothing (else skip); it only meets others as T?. Agent is known to the checker alone: at run time an agent
// is the text that names it, so in a plan its type is an enum.
const (
	Any Kind = iota
	String
	Int
	Float
	Bool
	File
	List
	Record
	Enum
	Nothing
	Agent
)

// Type is the type of a value. Types are compared by Same, never by ==.
type Type struct {
	Kind     Kind     `json:"kind"`
	Name     string   `json:"name,omitempty"`     // the name of a declared type, for messages
	Optional bool     `json:"optional,omitempty"` // T?: the value may be nothing
	Elem     *Type    `json:"elem,omitempty"`     // of a List
	Fields   []Field  `json:"fields,omitempty"`   // of a Record, in declared order
	Values   []string `json:"values,omitempty"`   // of an Enum, in declared order; of an Agent, whom it may stand for
	Musts    []Must   `json:"musts,omitempty"`    // of a declared Record
}

// Field is a field of a record.
type Field struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
	Doc  string `json:"doc,omitempty"`
}

// Must is a condition over the fields of a record (or over an input's own name) that every value must meet.
type Must struct {
	Expr string `json:"expr"` // expr-lang source as lang/eval compiles it
	Else string `json:"else,omitempty"`
}

// Effect says what calling a capability does to the world.
type Effect string

// Think asks a model, Read reads the world, Do changes it. The zero value counts as Do.
const (
	Think Effect = "think"
	Read  Effect = "read"
	Do    Effect = "do"
)

// CallKind says who carries a capability out: an agent (Call), a person (Ask), a timer (Sleep).
type CallKind string

// A flow is inlined at compile time, so it never reaches a plan.
const (
	Call  CallKind = "call"
	Ask   CallKind = "ask"
	Sleep CallKind = "sleep"
)

// TextKind says what kind of text stands after a callee (spec/language.md, "The text after a callee").
type TextKind string

// The kinds of text. Argv is split into words before values are put in; each value of a URL is percent-encoded.
const (
	Prompt TextKind = "prompt"
	Argv   TextKind = "argv"
	URL    TextKind = "url"
	Code   TextKind = "code"
	Text   TextKind = "text"
)

// Signature is everything the language and the machine need to know of a capability. It is pinned in the plan.
type Signature struct {
	Name       string           `json:"name"` // "claude", "http.get": as a script calls it
	Use        string           `json:"use"`  // the registered capability that serves it; equals Name unless configuration named it
	Doc        string           `json:"doc,omitempty"`
	Params     []Param          `json:"params,omitempty"`
	Primary    string           `json:"primary,omitempty"` // the parameter that the text after the callee fills; "" takes no text
	Text       TextKind         `json:"text,omitempty"`
	Result     Type             `json:"result"`
	Effect     Effect           `json:"effect"`
	Kind       CallKind         `json:"kind"`
	Structured bool             `json:"structured,omitempty"` // takes `as T` (models)
	Idempotent bool             `json:"idempotent,omitempty"` // a repeated call with the same key does no more than one
	Question   bool             `json:"question,omitempty"`   // an answer nobody reads is an error (E0133)
	Free       bool             `json:"free,omitempty"`       // costs nothing and ends at once: no CallStarted is recorded
	World      bool             `json:"world,omitempty"`      // its answer is text of the world (model, web, person): E0123
	System     string           `json:"system,omitempty"`     // the configured persona; goes before a script's own
	Defaults   json.RawMessage  `json:"defaults,omitempty"`   // configured arguments, an object; a script's own win
	Price      *Price           `json:"price,omitempty"`      // nil: unknown
	Prices     map[string]Price `json:"prices,omitempty"`     // of the models that the argument `model` may name; nil: Price holds for every one
	MaxOutput  int              `json:"maxOutput,omitempty"`  // output tokens reserved for a call; 0: unknown
	Version    string           `json:"version,omitempty"`    // of the agent, part of cache keys
	Tools      []Tool           `json:"tools,omitempty"`      // what a model may use in the midst of a call: all that slop.toml grants it, in order of their names
	Rounds     int              `json:"rounds,omitempty"`     // how often in one call it may use them and be asked again with what they answered

	// What a model is told of it where that says more than Params and Doc. Neither is part of a plan, except as a Tool.
	Input  json.RawMessage `json:"-"` // JSON Schema of its arguments
	Manual string          `json:"-"` // its description at length
}

// Tool is a capability that a model may use by itself. It is pinned as it was when the script was checked.
type Tool struct {
	Name    string          `json:"name"` // as a script calls it: "github.search"
	Use     string          `json:"use"`
	Doc     string          `json:"doc,omitempty"`
	Effect  Effect          `json:"effect"`
	Version string          `json:"version,omitempty"`
	Input   json.RawMessage `json:"input"` // JSON Schema of its arguments
}

// AsTool is the capability as a model may use it.
func (s *Signature) AsTool() Tool {
	t := Tool{Name: s.Name, Use: s.Use, Doc: cmp.Or(s.Manual, s.Doc), Effect: s.Effect, Version: s.Version, Input: s.Input}
	if t.Input == nil {
		record := Type{Kind: Record}
		for _, p := range s.Params {
			f := Field{Name: p.Name, Type: p.Type, Doc: p.Doc}
			f.Type.Optional = f.Type.Optional || !p.Required
			record.Fields = append(record.Fields, f)
		}
		t.Input = Schema(record)
	}
	return t
}

// MaxRounds bounds Rounds.
const MaxRounds = 100

// Asked is how often a model may be asked in one call.
func (s *Signature) Asked() int { return s.Rounds + 1 }

// PriceOf is the price of a call that names a model; "" names none. Nil: nobody knows it. The date that ends a full id does not matter.
func (s *Signature) PriceOf(model string) *Price {
	if model == "" || s.Prices == nil {
		return s.Price
	}
	if p, ok := s.Prices[model]; ok {
		return &p
	}
	if i := len(model) - len("-20251101"); i > 0 && model[i] == '-' && strings.Trim(model[i+1:], "0123456789") == "" {
		if p, ok := s.Prices[model[:i]]; ok {
			return &p
		}
	}
	return nil
}

// Approves reports whether it asks a person for a yes or a no: what depends on the answer is shown with the question.
func (s *Signature) Approves() bool {
	return s.Kind == Ask && (s.Use == "approve" || strings.HasSuffix(s.Use, ".approve"))
}

// FreeWith reports whether a call with these arguments is free.
func (s *Signature) FreeWith(args map[string]any) bool {
	if !s.Free {
		return false
	}
	for i := range s.Params {
		if p := &s.Params[i]; p.Lasts && args[p.Name] != nil && (len(p.Type.Values) == 0 || args[p.Name] != p.Type.Values[0]) {
			return false
		}
	}
	return true
}

// Param is an argument of a capability. Required means it has neither a default nor an optional type.
type Param struct {
	Name     string `json:"name"`
	Type     Type   `json:"type"`
	Required bool   `json:"required,omitempty"`
	Secret   bool   `json:"secret,omitempty"` // may hold `secret` names
	Host     bool   `json:"host,omitempty"`   // decides where on the network or machine a call goes: no text of the world (E0123)
	Lasts    bool   `json:"lasts,omitempty"`  // an enum; with any but its first value a call reaches beyond its run, so it is not free: see FreeWith
	Doc      string `json:"doc,omitempty"`
}

// Price is dollars per million tokens.
type Price struct {
	Input      float64 `json:"input"`
	Output     float64 `json:"output"`
	CacheRead  float64 `json:"cacheRead,omitempty"`
	CacheWrite float64 `json:"cacheWrite,omitempty"`
}

// InputAtMost is what a token of the input costs at most: one that the provider writes to its cache can cost more than one that it only reads.
func (p Price) InputAtMost() float64 { return max(p.Input, p.CacheWrite) }

// Scope is what a script may name beyond itself. It is data: checking calls nobody.
type Scope struct {
	Capabilities map[string]Signature // by full callee name
	// Values are names that exist before the file's first line (the REPL's bindings). They become the first inputs of the plan.
	Values []Field
	// Load resolves the path of a `use` written in the file named from. It returns the name the file goes by in messages and for further uses.
	// Nil: nothing can be used. The error is shown to the author as it is.
	Load func(from, path string) (name, text string, err error)
	// Template finds the prompt template of a `use template` that names no file: greeting, greeting@3. What it returns is as of Load. Nil: there are none.
	Template func(name string) (resolved, text string, err error)
}

// FileValue is a value of type file. Its bytes are in Data, or, when they are many, kept elsewhere under SHA256.
type FileValue struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	Type   string `json:"type"` // media type
	SHA256 string `json:"sha256"`
	Data   []byte `json:"data,omitempty"`   // nil when the bytes are kept elsewhere under SHA256
	Binary bool   `json:"binary,omitempty"` // kept elsewhere, and no text: not UTF-8
}

// Large stands for a text too large to be carried along: its bytes, which are UTF-8, are kept elsewhere under SHA256 (lower-case hex). Whoever has one
// inside what it evaluates has to fetch them first.
type Large struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

// Secret stands for the value of a named secret in arguments. The value itself enters in the agent's adapter and nowhere else.
type Secret struct {
	Name string `json:"$secret"`
}

// Is reports whether v is the same text, here or elsewhere.
func (l Large) Is(v any) bool {
	switch v := v.(type) {
	case Large:
		return l == v
	case string:
		if int64(len(v)) != l.Size {
			return false
		}
		sum := sha256.Sum256([]byte(v))
		return hex.EncodeToString(sum[:]) == l.SHA256
	}
	return false
}

// Parts is a text that is joined at the edge: each element is a string, a Secret or a Large.
type Parts []any

// Duration limits shared by the checker and the machine.
const (
	MaxDuration = 366 * 24 * time.Hour
)
