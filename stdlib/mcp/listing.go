package mcp

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/atomicfile"
)

// Listing is what a server says of itself and its tools. It is kept on disk, so that a script is checked without it.
type Listing struct {
	Server   string `json:"server,omitempty"`
	Version  string `json:"version,omitempty"`
	Protocol string `json:"protocol"`
	Tools    []Tool `json:"tools"` // by name
}

// Tool is a tool as its server lists it.
type Tool struct {
	Name        string          `json:"name"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output,omitempty"`
	ReadOnly    bool            `json:"readOnly,omitempty"`
	Idempotent  bool            `json:"idempotent,omitempty"`
}

// What a listing may hold: a server that we did not choose may say anything.
const (
	maxTools     = 2000
	maxListing   = 8 << 20
	maxDoc       = 300 // runes of a description
	maxManual    = 4000
	listingsKind = 1 // version of the file
)

type listingFile struct {
	Kind int `json:"slop.mcp"`
	*Listing
}

// file is where the listing of a server with just this configuration is kept.
func (c *Config) file() string {
	if c.Cache == "" {
		return ""
	}
	parts := []string{c.Name, c.URL, c.Folder, c.Token}
	parts = append(parts, c.Command...)
	parts = append(parts, c.Env...)
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		parts = append(parts, name, c.Headers[name])
	}
	return filepath.Join(c.Cache, c.Name+"-"+agent.Account(parts...)[:16]+".json")
}

// load reads what is kept; nil: nothing that can be used.
func (c *Config) load() *Listing {
	name := c.file()
	if name == "" {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil || len(data) > maxListing {
		return nil
	}
	f := listingFile{Listing: &Listing{}}
	if json.Unmarshal(data, &f) != nil || f.Kind != listingsKind || f.Listing.sound() != nil {
		return nil // it is made anew
	}
	return f.Listing
}

// save keeps a listing. It is no harm if that fails: the next check asks the server.
func (c *Config) save(l *Listing) {
	name := c.file()
	data, err := json.MarshalIndent(listingFile{listingsKind, l}, "", " ")
	if name == "" || err != nil {
		return
	}
	if was, err := os.ReadFile(name); err == nil && bytes.Equal(was, data) {
		return
	}
	if os.MkdirAll(c.Cache, 0o700) != nil {
		return
	}
	_ = atomicfile.Write(name, data, 0o600)
}

// sound refuses what cannot be a listing.
func (l *Listing) sound() error {
	if len(l.Tools) > maxTools {
		return fmt.Errorf("it lists %d tools, more than %d", len(l.Tools), maxTools)
	}
	size := 0
	for i, t := range l.Tools {
		size += len(t.Name) + len(t.Description) + len(t.Input) + len(t.Output)
		if t.Name == "" || len(t.Name) > 200 || !utf8.ValidString(t.Name) {
			return fmt.Errorf("it lists a tool with the name %.200q", t.Name)
		}
		if i > 0 && l.Tools[i-1].Name >= t.Name {
			return fmt.Errorf("it lists the tool %q twice", t.Name)
		}
	}
	if size > maxListing {
		return fmt.Errorf("its tools take %d bytes to describe, more than %d", size, maxListing)
	}
	return nil
}

// newTool takes down what a server says.
func newTool(t *sdk.Tool) (Tool, error) {
	out := Tool{Name: t.Name, Title: t.Title, Description: t.Description}
	var err error
	if out.Input, err = json.Marshal(t.InputSchema); err != nil {
		return out, err
	}
	if t.OutputSchema != nil {
		if out.Output, err = json.Marshal(t.OutputSchema); err != nil {
			return out, err
		}
	}
	if a := t.Annotations; a != nil {
		out.ReadOnly, out.Idempotent = a.ReadOnlyHint, a.IdempotentHint
		out.Title = cmp.Or(out.Title, a.Title)
	}
	return out, nil
}

// tool is a tool as scripts call it.
type tool struct {
	Tool
	signature types.Signature
	params    map[string]string // the tool's own names by those of the signature, where they differ
	open      bool              // its arguments have no names that are known: one parameter holds them all
	output    *jsonschema.Resolved
}

// openParam is the parameter of a tool whose arguments are not listed.
const openParam = "arguments"

// tools makes what scripts may call of a listing, in the order of their own names.
func (c *Config) tools(l *Listing) []*tool {
	var out []*tool
	names := newNames()
	for _, t := range l.Tools {
		name := names.name(t.Name) // of those that are not allowed too: what slop.toml allows changes no name
		if c.allows(t.Name) {
			out = append(out, c.tool(t, name))
		}
	}
	return out
}

func (c *Config) tool(t Tool, name string) *tool {
	out := &tool{Tool: t, params: map[string]string{}}
	s := &out.signature
	s.Name, s.Use = c.Name+"."+name, c.Name+"."+t.Name
	s.Doc = doc(cmp.Or(t.Description, t.Title))
	s.Kind, s.World, s.Effect = types.Call, true, types.Do
	if c.Trusted {
		s.Idempotent = t.Idempotent
		if t.ReadOnly {
			s.Effect = types.Read
		}
	}
	for _, called := range []string{t.Name, name} {
		if e, ok := c.Effects[called]; ok {
			s.Effect = e
		}
		s.Idempotent = s.Idempotent || slices.Contains(c.Idempotent, called)
	}
	input, err := types.FromSchema(t.Input)
	out.open = err != nil || input.Kind != types.Record && !bare(t.Input)
	if out.open {
		s.Params = []types.Param{{Name: openParam, Type: types.Type{Optional: true}, Doc: "The arguments, as a record."}}
	}
	fields := slices.Clone(input.Fields)
	slices.SortStableFunc(fields, func(a, b types.Field) int { // those that must be given come first
		return cmp.Compare(optional(a.Type), optional(b.Type))
	})
	params := newNames()
	for _, f := range fields {
		p := types.Param{Name: params.name(f.Name), Type: f.Type, Required: !f.Type.Optional, Doc: doc(f.Doc)}
		if p.Name != f.Name {
			out.params[p.Name] = f.Name
		}
		s.Params = append(s.Params, p)
	}
	s.Manual, s.Input = manual(cmp.Or(t.Description, t.Title)), out.schema()
	if p := primary(s.Params); p != "" {
		s.Primary, s.Text = p, types.Text
	}
	if len(t.Output) > 0 {
		if result, err := types.FromSchema(t.Output); err == nil {
			s.Result = result
		}
		out.output = compile(t.Output)
	}
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(t.Name), canonical(t.Input), canonical(t.Output)} {
		fmt.Fprintf(sum, "%d ", len(part))
		sum.Write(part)
	}
	s.Version = hex.EncodeToString(sum.Sum(nil))[:16]
	return out
}

// schema is what the server lists of the arguments, under the names of the signature: for models, which understand more of it than the language.
func (t *tool) schema() json.RawMessage {
	raw := t.Input
	if t.open {
		if json.Valid(raw) {
			raw, _ = json.Marshal(map[string]any{"type": "object", "properties": map[string]any{openParam: raw}})
		}
	} else if len(t.params) > 0 {
		var s, properties map[string]json.RawMessage
		var required []string
		if json.Unmarshal(raw, &s) != nil || json.Unmarshal(s["properties"], &properties) != nil {
			return nil
		}
		_ = json.Unmarshal(s["required"], &required) // there may be none
		shown := make(map[string]json.RawMessage, len(properties))
		for own, p := range properties {
			shown[t.shown(own)] = p
		}
		for i := range required {
			required[i] = t.shown(required[i])
		}
		s["properties"], _ = json.Marshal(shown)
		if len(required) > 0 {
			s["required"], _ = json.Marshal(required)
		}
		raw, _ = json.Marshal(s)
	}
	var s map[string]json.RawMessage
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	for _, word := range []string{"$schema", "oneOf", "anyOf", "allOf", "not", "enum"} {
		delete(s, word) // providers refuse them here; the server judges what it is given in any case
	}
	if s["type"] == nil {
		s["type"] = json.RawMessage(`"object"`)
	}
	if s["properties"] == nil {
		s["properties"] = json.RawMessage(`{}`)
	}
	raw, _ = json.Marshal(s)
	return raw
}

// shown is the name in the signature of what is the tool's own.
func (t *tool) shown(own string) string {
	for name, of := range t.params {
		if of == own {
			return name
		}
	}
	return own
}

// bare reports whether a tool takes no arguments: its schema lists none, and does not say that there may be others.
func bare(raw json.RawMessage) bool {
	var s map[string]json.RawMessage
	if json.Unmarshal(raw, &s) != nil {
		return false
	}
	var properties map[string]any
	_ = json.Unmarshal(s["properties"], &properties)
	more, says := s["additionalProperties"]
	for _, word := range []string{"$ref", "oneOf", "anyOf", "allOf", "patternProperties"} {
		if s[word] != nil {
			return false
		}
	}
	return string(s["type"]) == `"object"` && len(properties) == 0 && (!says || string(more) == "false")
}

func optional(t types.Type) int {
	if t.Optional {
		return 1
	}
	return 0
}

// primary is the parameter that a text after the tool fills: the only one that must be given, or the only one there is, when it is a text.
func primary(params []types.Param) string {
	var required []types.Param
	for _, p := range params {
		if p.Required {
			required = append(required, p)
		}
	}
	if len(required) == 0 && len(params) == 1 {
		required = params
	}
	if len(required) == 1 && required[0].Type.Kind == types.String {
		return required[0].Name
	}
	return ""
}

// doc is a description as it is shown: what a server says of itself is text of the world, so it is short and on one line.
func doc(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if r := []rune(text); len(r) > maxDoc {
		return string(r[:maxDoc]) + "…"
	}
	return text
}

// manual is a description as a model reads it.
func manual(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(text, ""))
	if r := []rune(text); len(r) > maxManual {
		return string(r[:maxManual]) + "…"
	}
	return text
}

// canonical is JSON with its keys in order, so that a server may list them in any.
func canonical(raw json.RawMessage) []byte {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return raw
	}
	out, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return out
}

// names makes names that a script can write: letters, digits and _, a letter or _ first. What else stands in a name becomes _. Of two names that
// become the same the later one gets _2.
type names struct{ taken map[string]bool }

func newNames() *names { return &names{map[string]bool{}} }

func (n *names) name(own string) string {
	var b strings.Builder
	for i, r := range own {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		digit := r >= '0' && r <= '9'
		switch {
		case letter, digit && i > 0:
			b.WriteRune(r)
		case digit:
			b.WriteString("_" + string(r))
		default:
			b.WriteByte('_')
		}
	}
	name := b.String()
	for k := 2; n.taken[name]; k++ {
		name = b.String() + "_" + strconv.Itoa(k)
	}
	n.taken[name] = true
	return name
}
