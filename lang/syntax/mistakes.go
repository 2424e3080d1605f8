package syntax

import (
	"errors"
	"fmt"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/diag"
)

// line is a line that could not be read: where in the stream it begins, where it ends, and the token at which reading failed.
type line struct {
	start, end, failed lexer.RawCursor
}

// explain reports why a line could not be read.
func (r *reader) explain(l line, err error) {
	t := r.at(l.failed)
	d := diag.Diagnostic{Code: "E0001", Span: span(t), Message: fmt.Sprintf("I did not expect `%s` here", t.Value)}
	var want *expected
	if errors.As(err, &want) {
		d.Label = "expected " + want.what
	} else if err != nil {
		d.Label = err.Error()
	}
	r.report(d)
}
