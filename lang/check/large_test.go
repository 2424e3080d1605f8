package check_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// A megabyte of anything is checked in seconds, also when every line of it is wrong: nothing grows with the square of the file.
func TestLargeScriptsEnd(t *testing.T) {
	size := 1 << 18
	if os.Getenv("SLOP_LONG") != "" {
		size = 1 << 20
	}
	lines := func(head string, line func(i int) string, tail string) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; b.Len() < size; i++ {
			b.WriteString(line(i) + "\n")
		}
		return b.String() + tail
	}
	scripts := map[string]string{
		"unknown names":   lines("", func(i int) string { return fmt.Sprintf(`s%d = writer "About <<nothing%d>>"`, i, i) }, ""),
		"unknown agents":  lines("", func(i int) string { return fmt.Sprintf(`s%d = wrter%d "About"`, i, i) }, ""),
		"unknown types":   lines("", func(i int) string { return fmt.Sprintf(`s%d = writer "About" as Type%d`, i, i) }, ""),
		"chain downwards": lines(`s0 = writer "x"`+"\n", func(i int) string { return fmt.Sprintf(`s%d = writer "About <<s%d>>"`, i+1, i) }, ""),
		"chain upwards":   lines("", func(i int) string { return fmt.Sprintf(`s%d = writer "About <<s%d>>"`, i, i+1) }, ""),
		"circle":          lines(`s0 = writer "<<last>>"`+"\n", func(i int) string { return fmt.Sprintf(`s%d = writer "<<s%d>>"`, i+1, i) }, `last = writer "<<s1>> <<s9000>>"`),
		"gates":           lines("input n: int\n", func(i int) string { return fmt.Sprintf(`require n > %d else "no"`, i) }, "output n\n"),
		"doing":           lines("", func(i int) string { return fmt.Sprintf(`s%d = shell "make"`, i) }, ""),
		"one name twice":  lines("", func(i int) string { return `s = writer "x"` }, ""),
		"lets that double": lines("input n: int\nlet l0 = n\nagent a = claude \"<<l9000>>\"\n",
			func(i int) string { return fmt.Sprintf(`let l%d = l%d + l%d`, i+1, i, max(0, i-1)) }, `output a "x"`),
		"fields of a record": lines("p = parallel {\n", func(i int) string { return fmt.Sprintf(`s%d = writer "x"`, i) }, "}\noutput p.s1 + p.s2\n"),
		"tests": lines("input n: string\noutput writer \"<<n>>\"\n",
			func(i int) string {
				return fmt.Sprintf("test \"t%d\" {\n given n = \"x\"\n mock writer -> \"a\"\n mock x%d -> \"b\"\n}", i, i)
			}, ""),
		"unknown everything":  lines("", func(i int) string { return fmt.Sprintf(`s%d = nobody%d "<<missing%d>>"`, i, i, i) }, ""),
		"arguments":           lines("x = echo(", func(i int) string { return fmt.Sprintf("a%d: 1,", i) }, ") \"x\"\n"),
		"inputs of a flow":    lines("use \"std/critique\" as critique\nx = critique(", func(i int) string { return fmt.Sprintf("a%d: 1,", i) }, ")\n"),
		"budgets of the file": lines("", func(i int) string { return "budget $1" }, "x = ollama \"x\"\n"),
		"budgets of a step":   lines("x = echo \"x\"\n", func(i int) string { return " budget $1" }, ""),
		"a long name":         "x = echo \"<<" + strings.Repeat("a", 900) + ">>\"\nlet y = " + strings.Repeat("b", size) + "\n",
		"mocks of strangers": lines("", func(i int) string { return fmt.Sprintf(`s%d = nobody%d "x"`, i, i) }, "") +
			lines("test \"t\" {\n", func(i int) string { return fmt.Sprintf(` mock other%d -> "x"`, i) }, "}\n"),
		"budgets": lines("", func(i int) string {
			return fmt.Sprintf("p%d = parallel {\n a = ollama \"x\"\n b = ollama \"y\"\n} budget $1", i)
		}, ""),
	}
	for name, text := range scripts {
		t.Run(name, func(t *testing.T) {
			file, _ := syntax.Parse(source.NewFile("main.slop", text))
			began := spent()
			_, list := check.File(file, langtest.Scope())
			if len(list) > 2000 {
				t.Errorf("%d messages", len(list))
			}
			if took := spent() - began; took > 10*time.Second {
				t.Errorf("took %s", took)
			} else {
				t.Logf("took %s", took)
			}
		})
	}
}

// Agents that are values multiply the calls of a flow: what that comes to is bounded like flows that use flows.
func TestAgentsDoNotMultiplyWithoutEnd(t *testing.T) {
	var flow, script strings.Builder
	flow.WriteString("input who: [agent]\n")
	for i := range 3000 {
		fmt.Fprintf(&flow, "a%d = map w in who { w \"x\" }\n", i)
	}
	script.WriteString("use \"./flow.slop\" as f\n")
	for i := range 300 {
		fmt.Fprintf(&script, "agent p%d = claude \"You are %d.\"\n", i, i)
	}
	script.WriteString("output f(who: [p0")
	for i := range 299 {
		fmt.Fprintf(&script, ", p%d", i+1)
	}
	script.WriteString("])\n")
	files := map[string]string{"main.slop": script.String(), "flow.slop": flow.String()}
	parsed, _ := syntax.Parse(source.NewFile("main.slop", files["main.slop"]))
	_, diags := check.File(parsed, langtest.Files(langtest.Scope(), files))
	found := false
	for _, d := range diags {
		found = found || d.Code == "E0130"
	}
	if !found {
		t.Errorf("900,000 calls are not too many: %v", diags)
	}
}
