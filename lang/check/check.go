package check

import (
	"path"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// File checks a parsed script. The agents in scope arrive as data, so check knows nothing of what implements them. Flows that the script uses are
// loaded through scope.Load, parsed and checked too; what is wrong with them is in the list, each with its own file. Info is complete only when the
// list has no errors. The list is sorted.
//
// The work goes in passes over the tree: declare the names, resolve every mention and draw the edges, look for cycles, then type the nodes of each
// block in the order of its edges, and last read what the first passes counted. What one pass has reported is marked bad, and the passes
// after it are silent about everything that rests on it: one root cause, one message.
func File(f *syntax.File, scope types.Scope) (*Info, diag.List) {
	s := &session{flows: map[string]*Info{}, templates: map[string]*Template{}, diags: &diag.List{}}
	info := s.file(f, scope)
	s.diags.Sort()
	return info, slices.CompactFunc(*s.diags, func(a, b diag.Diagnostic) bool {
		return a.Code == b.Code && a.File == b.File && a.Span == b.Span && a.Message == b.Message
	})
}

// Unspoiled returns what is worth saying of found, the diagnostics of a file in which reading found said: nothing about a line that could not be read, which may
// be but half there, and no warnings, since such a line may have used what seems unused.
func Unspoiled(said, found diag.List) diag.List {
	if !said.HasErrors() {
		return found
	}
	type place struct {
		file *source.File
		line int
	}
	unread := map[place]bool{}
	for _, d := range said {
		unread[place{d.File, d.File.Pos(d.Span.Start).Line}] = true
	}
	var left diag.List
	for _, d := range found {
		own := d.File == said[0].File
		if !own || d.Severity == diag.Error && !unread[place{d.File, d.File.Pos(d.Span.Start).Line}] {
			left.Add(d)
		}
	}
	return left
}

// session is what the check of a script shares with that of the flows it uses.
type session struct {
	diags     *diag.List
	flows     map[string]*Info           // by resolved name
	templates map[string]*Template       // by resolved name
	stack     []using                    // the uses that led to the file being checked
	callees   map[*Info]map[string]*Call // whom a file calls, made for the first test
}

// using is a `use` on the way to a file.
type using struct {
	name string // of the file that is being checked
	file *source.File
	at   source.Span // of the use that led to it
}

// checker checks one file.
type checker struct {
	*session
	file  *syntax.File
	src   *source.File
	scope types.Scope
	info  *Info

	typeDefs    map[string]*syntax.TypeDef
	typeUses    map[string]int
	typing      map[string]bool // declared types under way, against types that contain themselves
	badTypes    map[string]bool
	uses        map[string]*syntax.Use
	useCount    map[string]int
	agents      map[string]*syntax.Agent
	secrets     map[string]*Decl
	broken      map[string]bool // names whose declaration did not parse
	signatures  map[string]*types.Signature
	trees       map[string]*parsed
	unknown     map[string]int // index in diags of the first report of an unknown name
	order       []*Block       // every block with its nodes, outer ones first
	calls       []callSite
	before      map[string]*Decl        // values of the scope whose names the file gives anew
	anywhere    map[string][]*Decl      // every declared name, made when the first unknown one is met
	answers     map[string][]types.Type // what the agents of the flow give, by callee, made for the first test
	agentValues map[string]*Decl        // agents that are mentioned as values
	strangers   names                   // callees that the flow calls and nobody knows, made for the first test
	compared    int                     // names, for suggestions
	retyped     int
	forgotten   *diag.Fix // puts in the `as` whose absence is being reported
}

// callSite is a call where it stands.
type callSite struct {
	call  *syntax.Call
	block *Block
	node  *Node
}

// parsed is an expression's code, read once however often it is written.
type parsed struct {
	tree     *eval.Tree
	names    []eval.Name
	problems []eval.Problem
}

func newChecker(s *session, f *syntax.File, scope types.Scope) *checker {
	c := &checker{
		session: s, file: f, src: f.Source, scope: scope,
		typeDefs: map[string]*syntax.TypeDef{}, typeUses: map[string]int{}, typing: map[string]bool{}, badTypes: map[string]bool{},
		uses: map[string]*syntax.Use{}, useCount: map[string]int{},
		agents: map[string]*syntax.Agent{}, secrets: map[string]*Decl{}, broken: map[string]bool{},
		signatures: map[string]*types.Signature{}, agentValues: map[string]*Decl{}, before: map[string]*Decl{}, trees: map[string]*parsed{}, unknown: map[string]int{},
	}
	c.info = &Info{
		File: f, Name: flowName(f.Source.Name),
		Types: map[string]types.Type{}, Personas: map[string]*Persona{}, Flows: map[string]*Info{}, Templates: map[string]*Template{},
		Blocks: map[*syntax.Block]*Block{}, Calls: map[*syntax.Call]*Call{}, Exprs: make(map[*syntax.Expr]*Expr, len(f.Source.Text)/64),
		Steps: map[syntax.Step]types.Type{}, Named: map[*syntax.Type]types.Type{},
	}
	c.info.signatures = c.signatures
	for _, name := range f.Broken {
		c.broken[name.Text] = true
	}
	return c
}

func (s *session) file(f *syntax.File, scope types.Scope) *Info {
	c := newChecker(s, f, scope)
	c.declareFile()
	c.loadFlows()
	c.declareTypes()
	c.resolveInputs()
	c.resolvePersonas()
	c.agentDefaults()
	c.resolveBlock(c.info.Root)
	c.measure()
	c.findCycles()
	c.typePersonas()
	c.typeBlock(c.info.Root)
	c.info.Output = types.Named(c.info.Root.Type)
	c.checkUnused()
	c.checkQuestions()
	c.checkLoops()
	c.checkTimeouts(c.info.Root, 0, source.Span{})
	c.checkBudgets()
	c.checkTests()
	return c.info
}

// flowName is the file's name without folder and ending.
func flowName(name string) string {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	return strings.TrimSuffix(base, path.Ext(base))
}

// maxFound is how many mistakes of a script are kept. Twenty are shown; a file with a thousand is no script, and what else is wrong with it costs only time.
const maxFound = 1000

// full tells whether an error would be dropped: there are enough of them. A list without an error always takes one, however many warnings it has.
func (s *session) full() bool { return len(*s.diags) >= maxFound && s.diags.HasErrors() }

// add reports a diagnostic of this file; the severity is Error unless it says otherwise.
func (c *checker) add(d diag.Diagnostic) {
	if d.Severity == "" {
		d.Severity = diag.Error
	}
	if len(*c.diags) >= maxFound && (d.Severity == diag.Warning || c.diags.HasErrors()) {
		return
	}
	if d.File == nil {
		d.File = c.src
	}
	c.diags.Add(d)
}

// related points at another place of this file.
func (c *checker) related(at source.Span, message string) []diag.Related {
	return []diag.Related{{File: c.src, Span: at, Message: message}}
}

// line is the line of a byte offset, from 1.
func (c *checker) line(offset int) int { return c.src.Pos(offset).Line }
