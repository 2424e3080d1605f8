package machine_test

import (
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// The plan tells how much of a text other calls begin with too: what does not change from item to item, and what two calls begin with alike.
func TestSharedBeginnings(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   map[string]string // by path: what of its text is shared
	}{
		"an item comes last": {`input doc: string
output map w in ["a", "b"] { writer "Of <<doc>> say <<w>>!" }
`, map[string]string{"output[0]": "Of DOC say ", "output[1]": "Of DOC say "}},
		"an item comes first": {`input doc: string
output map w in ["a", "b"] { writer "<<w>> of <<doc>>" }
`, map[string]string{"output[0]": "", "output[1]": ""}},
		"nothing changes": {`input doc: string
output map w in ["a", "b"] { writer "Say <<doc>>" }
`, map[string]string{"output[0]": "Say DOC"}},
		"a value of the item itself": {`input doc: string
output map w in ["a"] {
  let x = "<<doc>> <<w>>"
  writer "Say <<doc>> and <<x>>"
}
`, map[string]string{"output[0]": "Say DOC and "}},
		"a block within": {`input doc: string
output map w in ["a"] { parallel { x = writer "Say <<doc>> and <<w>>" } }
`, map[string]string{"output[0]/x": "Say DOC and "}},
		"two calls begin alike": {`input doc: string
parallel {
  a = writer "Read <<doc>> and praise"
  b = writer "Read <<doc>> and scold"
  c = writer "See <<doc>>"
  d = writer "Read"
}
`, map[string]string{"output/a": "Read DOC", "output/b": "Read DOC", "output/c": "", "output/d": ""}},
		"other personas, other beginnings": {`input doc: string
agent critic = writer "Judge."
parallel {
  a = critic "Read <<doc>> and praise"
  b = writer "Read <<doc>> and scold"
}
`, map[string]string{"output/a": "", "output/b": ""}},
		"the same name, another value": {`input doc: string
parallel {
  a = sequence {
    let x = "1"
    y = writer "Read <<x>> and praise"
  }
  b = sequence {
    let x = "2"
    y = writer "Read <<x>> and scold"
  }
}
`, map[string]string{"output/a/y": "", "output/b/y": ""}},
		"alone": {`input doc: string
a = writer "Read <<doc>>"
`, map[string]string{"a": ""}},
	} {
		for _, doc := range []any{"DOC", types.Large{SHA256: strings.Repeat("0", 64), Size: 3}} {
			if _, large := doc.(types.Large); large && strings.Contains(c.script, "let x = \"<<doc>>") {
				continue // it is computed at the edge
			}
			h := begin(t, c.script, map[string]any{"doc": doc})
			for path, want := range c.want {
				var found *run.CallWish
				for _, w := range h.open {
					if call, ok := w.(*run.CallWish); ok && string(call.Path) == path {
						found = call
					}
				}
				if found == nil {
					t.Errorf("%s: there is no call at %s", name, path)
				} else if found.Shared != len(want) {
					t.Errorf("%s: at %s %d bytes are shared, not %d (%q)", name, path, found.Shared, len(want), want)
				}
			}
		}
	}
}
