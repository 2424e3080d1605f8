package js_test

import (
	"testing"

	"github.com/slopstudios/slop/stdlib/strudel/js"
)

// Code is read without harm, and mistakes lie in it.
func FuzzParse(f *testing.F) {
	for _, code := range []string{"$: s(\"bd\").off(1/8, (x, n) => x.fast(n ** 2)) // c", "const f = x => { return x ? [1, .5] : {a: 'b', c} }; /* c */ a?.b ?? -1e3", "s(`x\ny`)[0]"} {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code string) {
		_, errs := js.Parse(code)
		for _, e := range errs {
			if e.Offset < 0 || e.Offset > len(code) || e.Message == "" {
				t.Errorf("%q: %+v", code, e)
			}
		}
	})
}
