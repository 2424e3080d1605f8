package check_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// checked is the Info of a script that must be free of errors.
func checked(t *testing.T, text string, files map[string]string) *check.Info {
	t.Helper()
	file, said := syntax.Parse(source.NewFile("main.slop", text))
	info, found := check.File(file, langtest.Files(langtest.Scope(), files))
	for _, d := range append(said, found...).Errors() {
		t.Errorf("%s %s", d.Code, d.Message)
	}
	if t.Failed() {
		t.FailNow()
	}
	return info
}

// waits draws what each node waits for, one line a node: its name, then what it waits for, with a ^ for each block outward and the reason.
func waits(info *check.Info) string {
	var b strings.Builder
	var block func(bl *check.Block, indent string)
	called := func(bl *check.Block, slot int) string {
		n := bl.Nodes[slot]
		if n.Name != "" {
			return n.Name
		}
		return string(n.Kind)
	}
	block = func(bl *check.Block, indent string) {
		for slot, n := range bl.Nodes {
			fmt.Fprintf(&b, "%s%s", indent, called(bl, slot))
			if n.Effect != "" {
				fmt.Fprintf(&b, " (%s)", n.Effect)
			}
			for i, need := range n.Needs {
				at := bl
				for range need.Depth {
					at = at.Parent
				}
				sep := ", "
				if i == 0 {
					sep = ": "
				}
				fmt.Fprintf(&b, "%s%s%s %s", sep, strings.Repeat("^", need.Depth), called(at, need.Slot), need.Why)
			}
			b.WriteString("\n")
			for _, inner := range n.Bodies {
				block(inner, indent+"  ")
			}
			for _, inner := range n.Fallbacks {
				if inner != nil {
					block(inner, indent+"  else ")
				}
			}
		}
	}
	block(info.Root, "")
	return b.String()
}

// Section 3a of the specification, case by case.
func TestEdges(t *testing.T) {
	tests := map[string]struct{ script, want string }{
		"order of the lines does not matter": {
			script: `
b = editor "Tighten <<a>>"
a = writer "A poem"
output "<<b>>"
`,
			want: `
b (think): a reference
a (think)
value: b reference
`,
		},
		"a mention deep inside holds back only the inner node": {
			script: `
input files: [file]
style = writer "A style"
notes = map f in files {
  short = reader "Sum <<f.text>>"
  editor "<<short>> as <<style>>"
}
`,
			want: `
style (think)
notes (think)
  short (think)
  call (think): short reference, ^style reference
`,
		},
		"a header holds back the container": {
			script: `
names = claude "Ten names" as [string]
logos = map n in names { claude "A logo for <<n>>" }
`,
			want: `
names (think)
logos (think): names reference
  call (think)
`,
		},
		"what only a fallback mentions stays in the fallback": {
			script: `
plan_b = writer "Another"
a = writer "A poem" else elder "Like <<plan_b>>, since <<error.message>>"
`,
			want: `
plan_b (think)
a (think)
  else call (think): ^plan_b reference
`,
		},
		"the message of a fail is rendered beside the step": {
			script: `
why = writer "Why"
a = writer "A poem" else fail "no: <<why>>"
`,
			want: `
why (think)
a (think): why reference
`,
		},
		"a persona's mentions are its callers'": {
			script: `
input style: string
let loud = upper(style)
agent base = claude "You are <<loud>>."
agent critic = base "You judge."
a = parallel {
  x = critic "Judge"
  y = claude "Nothing"
}
`,
			want: `
loud
a (think)
  x (think): ^loud reference
  y (think)
`,
		},
		"gates wait for each other, and what is below waits for the nearest": {
			script: `
input n: int
a = writer "One"
require n > 1 else "one"
let b = n + 1
require b > 2 else "two"
c = writer "Two"
output "<<a>><<b>><<c>>"
`,
			want: `
a (think)
require
b: require gate
require: require gate, b reference
c (think): require gate
value: a reference, b reference, require gate, c reference
`,
		},
		"doing runs in written order, thinking does not": {
			script: `
a = shell "make a"
b = claude "Think"
c = shell "make c"
d = try {
  e = shell "make e"
  f = claude "Think"
}
g = claude "Think" else { shell "make g" }
h = shell "make h"
`,
			want: `
a (do)
b (think)
c (do): a order
d (do): c order
  e (do)
  f (think)
g (do): d order
  else call (do)
h (do): g order
`,
		},
		"the members of a parallel do not wait for each other, and what is below waits for all": {
			script: `
p = parallel {
  a = shell "make a"
  b = shell "make b"
}
c = shell "make c"
`,
			want: `
p (do)
  a (do)
  b (do)
c (do): p order
`,
		},
		"a sequence": {
			script: `
s = sequence {
  a = claude "One"
  let n = 3
  b = shell "make <<n>>"
  c = claude "Three"
}
`,
			want: `
s (do)
  a (think)
  n
  b (do): a sequence, n reference
  c (think): b sequence
`,
		},
		"after inside a container holds back the container": {
			script: `
a = writer "One"
p = parallel {
  b = writer "Two" after a
}
output p
`,
			want: `
a (think)
p (think): a after
  b (think)
value: p reference
`,
		},
		"into waits for its map": {
			script: `
input files: [file]
notes = map f in files tolerate 3 into missed { reader "Sum <<f.text>>" }
output {notes: notes, missed: missed}
`,
			want: `
notes (think)
  call (think)
missed: notes reference
value: notes reference, missed reference
`,
		},
		"stop if is a gate of the round": {
			script: `
poem = loop draft from "x" max 3 {
  review = critic "Judge <<draft>>" as {score: int}
  stop if review.score > 8
  writer "Better <<draft>>"
} else elder "Save <<draft>>"
`,
			want: `
poem (think)
  review (think)
  stop: review reference
  call (think): stop gate
  else call (think)
`,
		},
		"the branches of an if and the arms of a match": {
			script: `
a = claude "Yes or no?" as "yes" | "no"
b = claude "A name"
c = if a == "yes" { shell "echo <<b>>" } else { output b }
d = match a { "yes" -> claude "So <<b>>"
  else -> b }
output {c: c, d: d}
`,
			want: `
a (think)
b (think)
c (do): a reference
  call (do): ^b reference
  value: ^b reference
d (think): a reference
  call (think): ^b reference
  value: ^b reference
value: c reference, d reference
`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := waits(checked(t, tt.script, nil))
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A circle is a circle whether every edge of the rule is drawn or only the nearest gate and the next doing: the closure is the same.
func TestNearestGateIsEnough(t *testing.T) {
	info := checked(t, `
input n: int
require n > 1 else "one"
a = writer "A"
require n > 2 else "two"
b = writer "B"
require n > 3 else "three"
output "<<a>><<b>>"
`, nil)
	nodes := info.Root.Nodes
	reach := make([]map[int]bool, len(nodes))
	for i, n := range nodes { // needs point upwards here, so one pass is enough
		reach[i] = map[int]bool{}
		for _, need := range n.Needs {
			reach[i][need.Slot] = true
			for far := range reach[need.Slot] {
				reach[i][far] = true
			}
		}
	}
	for i, n := range nodes {
		for j := range i {
			if nodes[j].Kind == plan.RequireNode && !reach[i][j] {
				t.Errorf("%s (slot %d) does not wait for the gate at slot %d", n.Kind, i, j)
			}
		}
	}
}
