package plan

import (
	"strconv"

	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// What is here writes blocks as encoding/json would write the same structs, byte for byte: a plan is encoded before its first step, and nearly all of it is nodes,
// calls and texts. What is rare in a plan is left to encoding/json.

func (p *Plan) append(b []byte) ([]byte, error) {
	type bare Plan // without its blocks, which stand last but for the output
	head := bare(*p)
	head.Blocks, head.Output = nil, types.Type{}
	b, err := appendJSON(b, head)
	if err != nil {
		return b, err
	}
	const end = `"blocks":null,"output":{"kind":0}}`
	b = append(b[:len(b)-len(end)], `"blocks":`...)
	if b, err = list(b, p.Blocks, (*Block).append); err != nil {
		return b, err
	}
	b = append(b, `,"output":`...)
	if b, err = appendType(b, &p.Output); err != nil {
		return b, err
	}
	return append(b, '}'), nil
}

// room is about what a plan takes.
func (p *Plan) room() int {
	size := 4 << 10
	for _, s := range p.Sources {
		size += 2 * len(s.Text)
	}
	for _, k := range p.Blocks {
		size += 512 * len(k.Nodes)
	}
	return size
}

// list writes a slice; nil is null.
func list[T any](b []byte, items []T, each func(*T, []byte) ([]byte, error)) ([]byte, error) {
	if items == nil {
		return append(b, "null"...), nil
	}
	b = append(b, '[')
	var err error
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = each(&items[i], b); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

// field writes a field that is a list and left out when it is empty, and a comma.
func field[T any](b []byte, name string, items []T, each func(*T, []byte) ([]byte, error)) ([]byte, error) {
	if len(items) == 0 {
		return b, nil
	}
	b, err := list(append(b, name...), items, each)
	return append(b, ','), err
}

// rare leaves a field to encoding/json, and writes a comma.
func rare(b []byte, name string, v any) ([]byte, error) {
	b, err := appendJSON(append(b, name...), v)
	return append(b, ','), err
}

func (k *Block) append(b []byte) ([]byte, error) {
	b, err := list(append(b, `{"nodes":`...), k.Nodes, (*Node).append)
	if err != nil {
		return b, err
	}
	b = append(b, ',')
	if b, err = field(b, `"binds":`, k.Binds, word); err != nil {
		return b, err
	}
	b = appendInt(append(b, `"value":`...), k.Value)
	b = appendInt(append(b, `,"parent":`...), k.Parent)
	return append(b, '}'), nil
}

func (n *Node) append(b []byte) ([]byte, error) {
	b = appendText(append(b, `{"kind":`...), string(n.Kind))
	if n.Name != "" {
		b = appendText(append(b, `,"name":`...), n.Name)
	}
	b = appendPos(append(b, `,"at":`...), n.At)
	b = append(b, ',')
	b, err := field(b, `"needs":`, n.Needs, (*Need).append)
	if err != nil {
		return b, err
	}
	if b, err = appendType(append(b, `"type":`...), &n.Type); err != nil {
		return b, err
	}
	if n.Effect != "" {
		b = appendText(append(b, `,"effect":`...), string(n.Effect))
	}
	b = appendCount(b, `,"timeout":`, int64(n.Timeout))
	b = append(b, ',')
	if len(n.Budget) > 0 {
		b, err = rare(b, `"budget":`, n.Budget)
	}
	if len(n.Else) > 0 && err == nil {
		b, err = rare(b, `"else":`, n.Else)
	}
	if n.Call != nil && err == nil {
		b, err = n.Call.append(append(b, `"call":`...))
		b = append(b, ',')
	}
	if n.Expr != nil && err == nil {
		b, err = n.Expr.append(append(b, `"expr":`...))
		b = append(b, ',')
	}
	if n.Message != nil && err == nil {
		b, err = n.Message.append(append(b, `"message":`...))
		b = append(b, ',')
	}
	if n.Group != nil && err == nil {
		b, err = rare(b, `"group":`, n.Group)
	}
	if n.Race != nil && err == nil {
		b, err = rare(b, `"race":`, n.Race)
	}
	if n.Map != nil && err == nil {
		b, err = rare(b, `"map":`, n.Map)
	}
	if n.Of != 0 {
		b = append(appendInt(append(b, `"of":`...), n.Of), ',')
	}
	if n.Reduce != nil && err == nil {
		b, err = rare(b, `"reduce":`, n.Reduce)
	}
	if n.Choice != nil && err == nil {
		b, err = rare(b, `"choice":`, n.Choice)
	}
	if n.Match != nil && err == nil {
		b, err = rare(b, `"match":`, n.Match)
	}
	if n.Loop != nil && err == nil {
		b, err = rare(b, `"loop":`, n.Loop)
	}
	if n.Flow != nil && err == nil {
		b, err = rare(b, `"flow":`, n.Flow)
	}
	b[len(b)-1] = '}'
	return b, err
}

func (n *Need) append(b []byte) ([]byte, error) {
	b = append(b, '{')
	if n.Depth != 0 {
		b = append(appendInt(append(b, `"depth":`...), n.Depth), ',')
	}
	b = appendInt(append(b, `"slot":`...), n.Slot)
	return append(appendText(append(b, `,"why":`...), string(n.Why)), '}'), nil
}

func (c *Call) append(b []byte) ([]byte, error) {
	b = appendInt(append(b, `{"callee":`...), c.Callee)
	b = appendText(append(b, `,"agent":`...), c.Agent)
	b = append(b, ',')
	b, err := field(b, `"args":`, c.Args, (*Arg).append)
	if err != nil {
		return b, err
	}
	if c.Text != nil {
		if b, err = c.Text.append(append(b, `"text":`...)); err != nil {
			return b, err
		}
		b = append(b, ',')
	}
	if b, err = field(b, `"words":`, c.Words, (*Text).append); err != nil {
		return b, err
	}
	if b, err = field(b, `"system":`, c.System, (*Text).append); err != nil {
		return b, err
	}
	if c.As != nil {
		if b, err = appendType(append(b, `"as":`...), c.As); err != nil {
			return b, err
		}
		b = append(b, ',')
	}
	b = b[:len(b)-1]
	b = appendCount(b, `,"retry":`, int64(c.Retry))
	b = appendCount(b, `,"wait":`, int64(c.Wait))
	b = appendCount(b, `,"repair":`, int64(c.Repair))
	b = appendCount(b, `,"cache":`, int64(c.Cache))
	return append(b, '}'), nil
}

func (a *Arg) append(b []byte) ([]byte, error) {
	b = appendText(append(b, `{"name":`...), a.Name)
	b, err := a.Value.append(append(b, `,"value":`...))
	return append(b, '}'), err
}

func (t *Text) append(b []byte) ([]byte, error) {
	b, err := list(append(b, `{"parts":`...), t.Parts, (*Part).append)
	return append(appendPos(append(b, `,"at":`...), t.At), '}'), err
}

func (p *Part) append(b []byte) ([]byte, error) {
	b = append(b, '{')
	if p.Literal != "" {
		b = appendText(append(b, `"literal":`...), p.Literal)
	}
	var err error
	if p.Expr != nil {
		if p.Literal != "" {
			b = append(b, ',')
		}
		b, err = p.Expr.append(append(b, `"expr":`...))
	}
	return append(b, '}'), err
}

func (e *Expr) append(b []byte) ([]byte, error) {
	b = appendText(append(b, `{"code":`...), e.Code)
	b = append(b, ',')
	b, err := field(b, `"path":`, e.Path, word)
	if err != nil {
		return b, err
	}
	if b, err = field(b, `"refs":`, e.Refs, (*Ref).append); err != nil {
		return b, err
	}
	b = appendPos(append(b, `"at":`...), e.At)
	if e.Written != "" {
		b = appendText(append(b, `,"written":`...), e.Written)
	}
	return append(b, '}'), nil
}

func (r *Ref) append(b []byte) ([]byte, error) {
	b = appendText(append(b, `{"name":`...), r.Name)
	b = appendCount(b, `,"depth":`, int64(r.Depth))
	return append(appendInt(append(b, `,"slot":`...), r.Slot), '}'), nil
}

// appendType is quick about types that are only a kind.
func appendType(b []byte, t *types.Type) ([]byte, error) {
	if t.Name != "" || t.Optional || t.Elem != nil || len(t.Fields)+len(t.Values)+len(t.Musts) > 0 {
		return appendJSON(b, t)
	}
	return append(appendInt(append(b, `{"kind":`...), int(t.Kind)), '}'), nil
}

func appendPos(b []byte, p source.Pos) []byte {
	b = append(b, '{')
	if p.File != "" {
		b = append(appendText(append(b, `"file":`...), p.File), ',')
	}
	b = appendInt(append(b, `"line":`...), p.Line)
	return append(appendInt(append(b, `,"column":`...), p.Column), '}')
}

func word(s *string, b []byte) ([]byte, error) { return appendText(b, *s), nil }

// appendCount writes a field that is left out when it is 0.
func appendCount(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), n, 10)
}

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

// appendText writes a string; what needs an escape is left to encoding/json.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			raw, _ := marshal(s) // a string has no error
			return append(b, raw...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func appendJSON(b []byte, v any) ([]byte, error) {
	raw, err := marshal(v)
	return append(b, raw...), err
}
