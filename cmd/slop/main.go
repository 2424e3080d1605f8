// Command slop checks, draws, tests and runs .slop scripts.
//
// This package wires the rooms of the house together and decides nothing that a script means. One file holds one verb; wire.go is the only
// place that names concrete agents, stores and hosts.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/slopstudios/slop/cmd/slop/config"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
)

// grammar is the command line, as kong reads it.
type grammar struct {
	Color string `help:"When to use colour: auto, always or never." enum:"auto,always,never," default:"" placeholder:"WHEN"`

	Run        runCmd        `cmd:"" help:"Run a script."`
	Check      checkCmd      `cmd:"" help:"Find the mistakes in scripts without running them."`
	Fmt        fmtCmd        `cmd:"" help:"Format scripts."`
	Import     importCmd     `cmd:"" help:"Turn a JSON workflow definition into a script."`
	Graph      graphCmd      `cmd:"" help:"Draw a script as a graph."`
	Test       testCmd       `cmd:"" help:"Run the tests that stand in scripts, offline."`
	Resume     resumeCmd     `cmd:"" help:"Go on with a run that was interrupted, stopped or waits."`
	Answer     answerCmd     `cmd:"" help:"Answer the question of a run."`
	Runs       runsCmd       `cmd:"" help:"List runs, look at one, steer it."`
	Explain    explainCmd    `cmd:"" help:"Explain a code such as E0102."`
	Agents     agentsCmd     `cmd:"" help:"List what a script can call here."`
	Flows      flowsCmd      `cmd:"" help:"List the flows that come with SLOP, or tell about one."`
	MCP        mcpCmd        `cmd:"" name:"mcp" help:"Look at MCP servers and call their tools; offer flows as tools."`
	Agent      agentCmd      `cmd:"" help:"For people who write agents: agent test."`
	Serve      serveCmd      `cmd:"" help:"Serve the API over HTTP and WebSocket, and work on its runs."`
	Token      tokenCmd      `cmd:"" help:"Make, list and revoke the tokens of servers."`
	Audit      auditCmd      `cmd:"" help:"List who changed what on servers, and look whether that list was changed."`
	Worker     workerCmd     `cmd:"" help:"Work on the runs of servers that share a store, without an API."`
	Repl       replCmd       `cmd:"" help:"Try the language line by line."`
	Backup     backupCmd     `cmd:"" help:"Copy everything that is stored into one file."`
	Doctor     doctorCmd     `cmd:"" help:"Look whether agents can be called and stored runs are in order."`
	Completion completionCmd `cmd:"" help:"Print completions for bash, zsh or fish."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Help       helpCmd       `cmd:"" help:"Help about a command or a topic."`
	Complete   completeCmd   `cmd:"" hidden:""`
}

const description = `SLOP: a small language for orchestrating agents.

Topics: slop help language | exit-codes | environment | configuration | inputs | events | json | durability | mcp`

func main() {
	keepReady()
	os.Exit(Main(os.Args[1:]))
}

// Main runs one command line and returns the exit code of the process.
func Main(args []string) int {
	c := newConsole()
	code := c.end(c.dispatch(args))
	endPrograms()
	code, lost := c.out.check(code)
	if lost != nil {
		c.sayError(lost)
	}
	return code
}

// end says why a command failed and gives the exit code.
func (c *console) end(err error) int {
	var e *exit
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &e):
		if e.err != nil {
			c.sayError(e.err)
		}
		return e.code
	case c.out.fault() != nil && errors.Is(err, c.out.fault()):
		return exitFailed // Main says it
	default:
		c.sayError(err)
		return exitFailed
	}
}

func (c *console) dispatch(args []string) error {
	g, color := grammarOf(commandWord(args))
	parser, err := kong.New(g,
		kong.Name("slop"), kong.Description(description), kong.Writers(c.out, c.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}), kong.Bind(c),
	)
	if err != nil {
		panic(err) // the grammar above is wrong
	}
	if len(args) == 0 {
		_, _ = parser.Parse([]string{"--help"})
		return nil
	}
	if args[0] == "--version" || args[0] == "-V" {
		args = []string{"version"}
	}
	if args[0] == "test" {
		args = goStyleRun(args)
	}
	if err := unknownCommand(parser, args); err != nil {
		return err
	}
	ctx, err := parser.Parse(args)
	if c.out.fault() != nil {
		return nil // the help did not arrive: Main says so
	}
	if err != nil {
		return usageError(args, err)
	}
	c.decideColor(*color)
	return ctx.Run(parser)
}

// grammarOf is the part of the command line's grammar that a verb needs, and where --color goes. kong reads the tags of every command it is given, which
// takes longer than a short script, so it is given the one that is called. Who asks for help, or calls what there is not, gets all.
func grammarOf(verb string) (g any, color *string) {
	all := reflect.TypeFor[grammar]()
	for i := range all.NumField() {
		f := all.Field(i)
		if name := cmp.Or(f.Tag.Get("name"), strings.ToLower(f.Name)); i == 0 || name != verb || slices.Contains([]string{"help", "completion", "complete"}, name) {
			continue
		}
		part := reflect.New(reflect.StructOf([]reflect.StructField{all.Field(0), f}))
		return part.Interface(), part.Elem().Field(0).Addr().Interface().(*string)
	}
	whole := new(grammar)
	return whole, &whole.Color
}

// goStyleRun lets `-run RE` be written as in `go test`.
func goStyleRun(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if a == "-run" || strings.HasPrefix(a, "-run=") {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

// commandWord is the first word that is no flag and no value of the one flag that may stand before it.
func commandWord(args []string) string {
	for i, a := range args {
		if !strings.HasPrefix(a, "-") && (i == 0 || args[i-1] != "--color") {
			return a
		}
	}
	return ""
}

func unknownCommand(parser *kong.Kong, args []string) error {
	word := commandWord(args)
	for _, n := range parser.Model.Children {
		if n.Name == word {
			return unknownVerb(n, args)
		}
	}
	names := commandNames(parser)
	switch {
	case word == "":
		return nil
	case strings.HasSuffix(word, ".slop"):
		return usage("%q is a script, not a command: slop run %s", word, word)
	}
	if near, ok := diag.Nearest(word, names); ok {
		return usage("unknown command %q, did you mean %q?", word, near)
	}
	return usage("unknown command %q; the commands are: %s", word, strings.Join(names, ", "))
}

// unknownVerb looks at the word behind a group of commands.
func unknownVerb(group *kong.Node, args []string) error {
	if len(group.Children) == 0 {
		return nil
	}
	at := 0
	for args[at] != group.Name {
		at++
	}
	if len(args) < at+2 || strings.HasPrefix(args[at+1], "-") {
		return nil
	}
	word := args[at+1]
	var names []string
	for _, n := range group.Children {
		if n.Name == word {
			return nil
		}
		if !n.Hidden {
			names = append(names, n.Name)
		}
	}
	if near, ok := diag.Nearest(word, names); ok {
		return usage("unknown command \"%s %s\", did you mean \"%s %s\"?", group.Name, word, group.Name, near)
	}
	return usage("unknown command \"%s %s\"; there are: %s", group.Name, word, strings.Join(names, ", "))
}

func commandNames(parser *kong.Kong) []string {
	var names []string
	for _, n := range parser.Model.Children {
		if !n.Hidden {
			names = append(names, n.Name)
		}
	}
	return names
}

// usageError says what is wrong with the command line and where to read on.
func usageError(args []string, err error) error {
	verb := ""
	if word := commandWord(args); word != "" {
		verb = " " + word
	}
	message := err.Error()
	if word, ok := strings.CutPrefix(message, "unexpected argument "); ok && verb == " run" {
		if strings.Contains(word, "=") {
			return usage("inputs stand behind -i: slop run … -i %s", word)
		}
		return usage("slop run takes one script; %s is too much (inputs: -i name=value)", word)
	}
	if at := slices.Index(args, strings.TrimSpace(verb)); verb == " runs" && at+1 < len(args) && !strings.HasPrefix(args[at+1], "-") {
		verb += " " + args[at+1]
	}
	flag, what, _ := strings.Cut(message, ": ")
	missing, misses := strings.CutPrefix(message, `expected "`)
	switch {
	case misses:
		missing = strings.ToUpper(strings.NewReplacer("<", "", ">", "", `"`, "").Replace(missing))
		if missing == "B" {
			missing = "A B"
		}
		message = fmt.Sprintf("something is missing: slop%s %s", verb, missing)
		if !strings.Contains(missing, "FILE") {
			message += "; `slop runs` lists the runs"
		}
	case strings.Contains(what, "expected a valid 64 bit int"):
		_, got, _ := strings.Cut(what, "but got ")
		message = flag + " wants a whole number, not " + got
	case flag == "--set" && strings.HasPrefix(what, "missing value"):
		message = "-i needs an input: -i name=value"
	case strings.HasPrefix(what, "missing value") || strings.HasSuffix(what, `got "EOL" (<EOL>)`):
		message = flag + " needs a value behind it"
	}
	return usage("%s\n  see: slop%s --help", message, verb)
}

// sayAll says what is wrong with some of the files of a command, after the others had their turn, and returns the last for the exit code.
func (c *console) sayAll(errs []error) error {
	for _, err := range errs[:len(errs)-1] {
		c.sayError(err)
	}
	return errs[len(errs)-1]
}

// sayError prints an error that is not a diagnostic.
func (c *console) sayError(err error) {
	var conf *config.Error
	if errors.As(err, &conf) {
		c.drawConfigError(conf)
		return
	}
	text := err.Error()
	first, rest, _ := strings.Cut(text, "\n")
	fmt.Fprintln(c.err, c.style.Bold(c.style.Red("error"))+c.style.Bold(": "+screen.Inert(first)))
	if rest != "" {
		fmt.Fprintln(c.err, screen.Inert(rest))
	}
}
