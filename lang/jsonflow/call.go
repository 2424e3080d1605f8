package jsonflow

import (
	"errors"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// Call is the script of one call, whose value is its output. text is what would stand behind the callee, letter by letter; nil: nothing does. args is a JSON
// object, empty when there are none; as is the type that is asked for, as a script has it, or "".
func Call(sig *types.Signature, text *string, args []byte, as string) (string, error) {
	var b strings.Builder
	b.WriteString("output " + sig.Name)
	var list []string
	if len(args) > 0 {
		r := &reader{src: source.NewFile("args", string(args))}
		v := r.read()
		switch {
		case v == nil:
			for _, d := range r.diags {
				if d.Severity == diag.Error {
					return "", errors.New(d.Message)
				}
			}
			return "", errors.New("they cannot be read")
		case v.kind == nothing:
		case v.kind != object:
			return "", errors.New("they are an object: values by name")
		}
		for _, f := range v.fields {
			if !plainName(f.name) {
				return "", errors.New(quoted(f.name) + " cannot be the name of an argument")
			}
			list = append(list, f.name+": "+f.value.code())
		}
	}
	if len(list) > 0 || text == nil {
		b.WriteString("(" + strings.Join(list, ", ") + ")")
	}
	if text != nil {
		if sig.Text == types.Code && isRaw(*text) {
			b.WriteString(" '" + *text + "'")
		} else {
			b.WriteString(" " + talk([]part{{letters: *text}}))
		}
	}
	if as != "" {
		if strings.ContainsAny(as, "\r\n") {
			return "", errors.New("a type stands on one line")
		}
		b.WriteString(" as " + as)
	}
	return b.String() + "\n", nil
}
