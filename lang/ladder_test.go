package lang_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/slopstudios/slop/"

// goFile is a Go file of the module that is no test.
type goFile struct {
	pkg     string // folder below the module's root, with slashes: "lang/plan"
	name    string // path below the root
	imports map[string]token.Position
	tree    *ast.File
	fset    *token.FileSet
}

// files parses every Go file of the module but the tests.
func files(t *testing.T) []goFile {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the module's root is not where this test looks for it: %v", err)
	}
	var out []goFile
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); p != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "examples") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, p, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil // it is being written; the compiler says what is wrong with it
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		f := goFile{pkg: path.Dir(rel), name: rel, imports: map[string]token.Position{}, tree: tree, fset: fset}
		for _, imp := range tree.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			f.imports[name] = fset.Position(imp.Pos())
		}
		out = append(out, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 5 {
		t.Fatalf("found %d Go files: the walk is wrong", len(out))
	}
	return out
}

// within tells whether pkg is one of the folders or below one.
func within(pkg string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return pkg == f || strings.HasPrefix(pkg, f+"/") })
}

// pure are the packages that decide what a script means and what happens next (spec/architecture.md, "The ladder").
var pure = []string{"lang/source", "lang/syntax", "lang/format", "lang/template", "lang/types", "lang/eval", "lang/check", "lang/plan", "lang/lower", "lang/graph", "lang/jsonflow", "runtime/run", "runtime/machine", "runtime/travel"}

// testSuites are packages that exist for tests of other packages, and may wire what a program may not.
var testSuites = []string{"lang/langtest", "runtime/store/storetest", "runtime/store/redis/redistest", "runtime/hosttest", "runtime/sim"}

// What is made for tests stays in tests.
func TestSuitesAreForTests(t *testing.T) {
	for _, f := range files(t) {
		if within(f.pkg, testSuites...) {
			continue
		}
		for imp, at := range f.imports {
			if own, ok := strings.CutPrefix(imp, module); ok && within(own, testSuites...) {
				t.Errorf("%s:%d imports %s, which is made for tests and would become part of the program", f.name, at.Line, own)
			}
		}
	}
}

// Arrows between our packages go down only.
func TestArrowsGoDown(t *testing.T) {
	rules := []struct {
		from, except, never []string
		because             string
	}{
		{from: []string{"lang"}, never: []string{"runtime", "stdlib", "cmd"},
			because: "lang turns text into a plan and knows nothing of what runs it, so that a script means the same on every host"},
		{from: []string{"runtime"}, except: testSuites, never: []string{"stdlib", "cmd"},
			because: "the runtime calls agents through runtime/agent; which ones exist is wired in cmd/slop"},
		{from: []string{"stdlib"}, never: []string{"runtime/store", "runtime/engine", "runtime/machine", "cmd"},
			because: "an agent gets what it may use of its run in agent.Call; it never reaches around it"},
		{from: []string{"runtime/run"}, never: []string{"runtime/machine", "runtime/agent", "runtime/store", "runtime/engine", "runtime/runs"},
			because: "run is the vocabulary that all of them share"},
		{from: []string{"runtime/run/invariant"}, never: []string{"runtime/machine"},
			because: "the invariants are stated without the code they judge"},
		{from: []string{"runtime/machine"}, never: []string{"runtime/agent", "runtime/store", "runtime/engine", "runtime/runs", "lang/check", "lang/syntax", "lang/lower"},
			because: "the machine works on plan and facts alone; hosts are above it and source text below the plan"},
		{from: []string{"runtime/travel"}, never: []string{"runtime/agent", "runtime/store", "runtime/engine", "runtime/runs", "lang/check", "lang/syntax", "lang/lower"},
			because: "what a fork keeps is decided from histories and plans alone, the same on every host and in a file"},
		{from: []string{"runtime/agent/cassette"}, never: []string{"runtime/store", "runtime/engine", "runtime/runs"},
			because: "a recording is made of a history, wherever that was kept, and answers tests that have no engine"},
		{from: []string{"runtime/store"}, never: []string{"runtime/machine", "runtime/engine", "runtime/agent"},
			because: "a store keeps facts and does not know what they mean"},
		{from: []string{"lang/plan"}, never: []string{"lang/syntax", "lang/check", "lang/lower", "lang/eval", "lang/graph"},
			because: "a plan is data, read by hosts that have no parser"},
		{from: []string{"lang/eval"}, never: []string{"lang/syntax", "lang/check", "lang/lower", "lang/plan"},
			because: "the machine evaluates with it, and must not need the parser of scripts"},
		{from: []string{"lang/syntax"}, never: []string{"lang/check", "lang/lower", "lang/plan", "lang/eval"},
			because: "the tree is what was written, before anybody knows what it means"},
		{from: []string{"lang/jsonflow"}, never: []string{"lang/check", "lang/lower", "lang/plan", "lang/graph"},
			because: "a definition becomes a script, and a script means what the language says, whoever wrote it"},
		{from: []string{"lang/check"}, never: []string{"lang/lower", "lang/graph", "lang/format"},
			because: "lowering decides nothing that check has not decided, so check comes first"},
	}
	for _, f := range files(t) {
		for _, r := range rules {
			if !within(f.pkg, r.from...) || within(f.pkg, r.except...) {
				continue
			}
			for imp, at := range f.imports {
				if own, ok := strings.CutPrefix(imp, module); ok && within(own, r.never...) {
					t.Errorf("%s:%d imports %s, and %s may not: %s", f.name, at.Line, own, f.pkg, r.because)
				}
			}
		}
	}
}

// Nothing that decides has a clock, dice, a network, a disk or a goroutine of its own.
func TestDecidersArePure(t *testing.T) {
	const because = "what happens next is computed from facts alone, so that a replay ends where the run did; time, chance and the world come in as facts"
	banned := []string{"os", "os/exec", "os/signal", "net", "net/http", "net/url", "sync", "sync/atomic", "context", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog", "io/ioutil", "syscall", "unsafe"}
	allowed := map[string][]string{
		"lang/syntax": {"sync"}, // the parser is built once, on first use
	}
	for _, f := range files(t) {
		if !within(f.pkg, pure...) || within(f.pkg, "runtime/run/invariant") {
			continue
		}
		for imp, at := range f.imports {
			if slices.Contains(banned, imp) && !slices.Contains(allowed[f.pkg], imp) {
				t.Errorf("%s:%d imports %s: %s", f.name, at.Line, imp, because)
			}
		}
		timePkg := importName(f, "time")
		ast.Inspect(f.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s:%d starts a goroutine: %s", f.name, f.fset.Position(n.Pos()).Line, because)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && timePkg != "" && x.Name == timePkg {
					switch n.Sel.Name {
					case "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Local":
						t.Errorf("%s:%d uses time.%s: %s", f.name, f.fset.Position(n.Pos()).Line, n.Sel.Name, because)
					}
				}
			}
			return true
		})
	}
}

// importName is the name by which a file knows a package of the standard library; empty when it does not import it.
func importName(f goFile, pkg string) string {
	for _, imp := range f.tree.Imports {
		if imp.Path.Value == strconv.Quote(pkg) {
			if imp.Name != nil {
				return imp.Name.Name
			}
			return path.Base(pkg)
		}
	}
	return ""
}

// Each foreign library that could be swapped or could surprise has one door.
func TestForeignLibrariesHaveOneDoor(t *testing.T) {
	doors := []struct {
		lib     string
		doors   []string
		because string
	}{
		{"github.com/expr-lang/expr", []string{"lang/eval"}, "lang/eval makes it deterministic and bounded; past it, an expression could be neither"},
		{"github.com/alecthomas/participle/v2", []string{"lang/syntax"}, "its errors speak of grammar rules; lang/syntax turns them into the author's words"},
		{"github.com/alecthomas/kong", []string{"cmd"}, "the command line is cmd's"},
		{"github.com/anthropics/anthropic-sdk-go", []string{"stdlib/claude"}, "each provider is reached through its own agent"},
		{"github.com/openai/openai-go/v3", []string{"stdlib/openai"}, "each provider is reached through its own agent"},
		{"github.com/modelcontextprotocol/go-sdk", []string{"stdlib/mcp", "runtime/mcpserver"}, "one room calls tools of others, one offers flows as tools; everybody else speaks to agents and to runs"},
		{"github.com/redis/go-redis/v9", []string{"runtime/store/redis"}, "the store speaks to Redis; everybody else speaks to the store"},
		{"github.com/reeflective/readline", []string{"cmd"}, "only the REPL edits lines"},
		{"github.com/sony/gobreaker/v2", []string{"runtime/agent"}, "when an agent counts as down is decided in one place, the same for all hosts"},
		{"modernc.org/sqlite", []string{"runtime/store/sqlite"}, "the runtime knows stores by their contract; what SQLite does with locks and errors is understood in one place"},
		{"github.com/google/jsonschema-go", []string{"stdlib/mcp"}, "schemas that others wrote are checked by it once they are known to end; ours are types"},
		{"github.com/santhosh-tekuri/jsonschema/v6", nil, "it compiles the schemas of JSON Schema when a process starts, a fifth of what that takes, and judges ours in tests"},
		{"github.com/coder/websocket", []string{"stdlib/remote", "runtime/server"}, "one end of a connection is an agent or a client, and each has its place"},
		{"github.com/coreos/go-oidc/v3", []string{"runtime/server/auth/oidc"}, "what a token of an issuer is worth is judged in one place; everybody else knows callers"},
		{"github.com/DataDog/sketches-go", []string{"runtime/metrics"}, "quantiles are kept and merged in one form, by one room"},
		{"github.com/prometheus/client_golang", []string{"runtime/server"}, "who scrapes asks the server; everybody else counts in runtime/metrics"},
		{"github.com/evanw/esbuild", nil, "it turns an example into JavaScript for its test and is no part of the program"},
		{"github.com/hashicorp/hcl/v2", nil, "it is a yardstick of the benchmarks and no part of the program"},
	}
	for _, f := range files(t) {
		for imp, at := range f.imports {
			for _, d := range doors {
				if (imp == d.lib || strings.HasPrefix(imp, d.lib+"/")) && !within(f.pkg, d.doors...) {
					t.Errorf("%s:%d imports %s, which is for %s only: %s", f.name, at.Line, imp, strings.Join(append(d.doors, "tests"), ", "), d.because)
				}
			}
		}
	}
}

// No directory right at runtime/ is a Go package: its name would shadow the standard one.
func TestNoPackageIsNamedRuntime(t *testing.T) {
	for _, f := range files(t) {
		if f.pkg == "runtime" {
			t.Errorf("%s: runtime/ holds packages and is none, since its name is taken by the standard library", f.name)
		}
		for _, bad := range []string{"util", "utils", "helper", "helpers", "common", "misc"} {
			if path.Base(f.pkg) == bad {
				t.Errorf("%s: a package is one idea, and %q is none: name the job", f.name, bad)
			}
		}
	}
}
