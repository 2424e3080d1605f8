package plan_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/plan"
)

// reflected is a plan as encoding/json writes it.
func reflected(t *testing.T, p *plan.Plan) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// A plan has one form, which its hash is taken of: what is written by hand is what encoding/json writes of the same structs, whatever fields they have.
func TestPlansAreWrittenAsTheirStructsSay(t *testing.T) {
	same := func(p *plan.Plan) {
		t.Helper()
		if got, want := string(plan.Encode(p)), reflected(t, p); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
	same(full())
	same(&plan.Plan{})
	same(&plan.Plan{Blocks: []plan.Block{}})
	p := &plan.Plan{Blocks: []plan.Block{{Nodes: []plan.Node{{}}}}}
	node := reflect.ValueOf(&p.Blocks[0].Nodes[0]).Elem()
	alone(reflect.ValueOf(p).Elem(), func() { same(p) })
	alone(reflect.ValueOf(&p.Blocks[0]).Elem(), func() { same(p) })
	alone(node, func() { same(p) })
	for _, part := range []any{&plan.Call{}, &plan.Expr{}, &plan.Text{}} {
		for i := range node.NumField() {
			if field := node.Field(i); field.Type() == reflect.TypeOf(part) {
				field.Set(reflect.ValueOf(part))
				alone(field.Elem(), func() { same(p) })
				field.SetZero()
			}
		}
	}
	text := &plan.Text{Parts: []plan.Part{{}}}
	p.Blocks[0].Nodes[0].Message = text
	alone(reflect.ValueOf(&text.Parts[0]).Elem(), func() { same(p) })
	alone(reflect.ValueOf(&p.Blocks[0].Nodes[0].Type).Elem(), func() { same(p) })
	alone(reflect.ValueOf(&p.Blocks[0].Nodes[0].At).Elem(), func() { same(p) })
	p.Blocks[0].Nodes[0] = plan.Node{Needs: []plan.Need{{}}, Expr: &plan.Expr{Refs: []plan.Ref{{}}}, Call: &plan.Call{Args: []plan.Arg{{}}}}
	for _, part := range []any{&p.Blocks[0].Nodes[0].Needs[0], &p.Blocks[0].Nodes[0].Expr.Refs[0], &p.Blocks[0].Nodes[0].Call.Args[0]} {
		alone(reflect.ValueOf(part).Elem(), func() { same(p) })
	}
	for _, text := range []string{"", "plain", "<<x>> & \"y\"", "\\\x00\x7f\b\f\n\r\t", "é\u2028\u2029\ufffd", "\xff\xe2\x80", "😀"} {
		p.Blocks[0].Nodes[0].Name = text
		same(p)
	}
}

// alone sets each field of a struct alone, then one more after the other, and checks every time.
func alone(v reflect.Value, check func()) {
	was := reflect.New(v.Type()).Elem()
	was.Set(v)
	for i := range v.NumField() {
		sample(v.Field(i), 0)
		check()
		v.Set(was)
	}
	for i := range v.NumField() {
		sample(v.Field(i), 0)
		check()
	}
	v.Set(was)
}

// sample gives a value something to be written.
func sample(v reflect.Value, depth int) {
	if depth > 6 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("a <<text>>")
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf("x"))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		sample(v.Elem(), depth+1)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.Set(reflect.ValueOf(json.RawMessage(`{"a":1}`)))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		sample(v.Index(0), depth+1)
		sample(v.Index(1), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			sample(v.Field(i), depth+1)
		}
	}
}
