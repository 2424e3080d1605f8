package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

type completionCmd struct {
	Shell string `arg:"" optional:"" help:"bash, zsh or fish."`
}

func (completionCmd) Help() string {
	return "bash:  source <(slop completion bash)\nzsh:   slop completion zsh > \"${fpath[1]}/_slop\"\nfish:  slop completion fish > ~/.config/fish/completions/slop.fish"
}

func (v *completionCmd) Run(c *console, k *kong.Kong) error {
	var verbs []verb
	for _, n := range k.Model.Children {
		if n.Hidden {
			continue
		}
		one := newVerb(n)
		for _, child := range n.Children {
			if child.Hidden {
				continue
			}
			sub := newVerb(child)
			if child == n.DefaultCmd {
				one.flags = sub.flags
			}
			one.subs = append(one.subs, sub)
		}
		verbs = append(verbs, one)
	}
	switch v.Shell {
	case "bash":
		fmt.Fprint(c.out, bashCompletion(verbs))
	case "zsh":
		fmt.Fprint(c.out, zshCompletion(verbs))
	case "fish":
		fmt.Fprint(c.out, fishCompletion(verbs))
	case "":
		return usage("say for which shell: slop completion bash, zsh or fish")
	default:
		return usage("there are completions for bash, zsh and fish, not for %q", v.Shell)
	}
	return nil
}

type verb struct {
	name, help string
	flags      []flag
	subs       []verb // of a group of commands; its flags are those of the one that may be left out
}

func newVerb(n *kong.Node) verb {
	v := verb{name: n.Name, help: n.Help}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			if f.Hidden {
				continue
			}
			v.flags = append(v.flags, flag{"--" + f.Name, f.Help, !f.IsBool()})
			if f.Short != 0 {
				v.flags = append(v.flags, flag{"-" + string(f.Short), f.Help, !f.IsBool()})
			}
		}
	}
	return v
}

// subNames are the commands of a group.
func (v verb) subNames() string {
	names := make([]string, len(v.subs))
	for i, s := range v.subs {
		names[i] = s.name
	}
	return strings.Join(names, " ")
}

type flag struct {
	name, help string
	takes      bool // a value behind it
}

func (v verb) flagNames() string {
	names := make([]string, len(v.flags))
	for i, f := range v.flags {
		names[i] = f.name
	}
	return strings.Join(names, " ")
}

// fixedValues are the words that may stand behind a flag.
var fixedValues = map[string]string{"--color": "auto always never", "--format": "ascii mermaid dot json", "--events": "ndjson",
	"--status": "queued running waiting paused succeeded failed cancelled"}

// folders and files stand behind these flags.
var (
	folderFlags = []string{"--record", "--replay", "--state"}
	fileFlags   = []string{"--input", "--script"}
)

// operand is what a word behind a command names: what completeCmd lists under that name, or one of those below.
type operand string

const (
	scripts operand = "scripts" // any number
	aFile   operand = "file"
	shells  operand = "shells"

	ids       operand = "ids"       // runs
	waits     operand = "waiting"   // runs that wait for an answer
	questions operand = "questions" // of the run that stands before
	steps     operand = "steps"     // of the run that stands before
	codes     operand = "codes"
	topicWord operand = "topics"
	flowWord  operand = "flows"
)

// operands stand behind commands in this order. A command that is not here takes scripts.
var operands = map[string][]operand{
	"resume": {ids}, "answer": {waits, questions}, "backup": {aFile}, "explain": {codes}, "flows": {flowWord}, "help": {topicWord}, "completion": {shells}, "version": {}, "agents": {}, "doctor": {},
	"runs list": {}, "runs prune": {}, "runs replay": {aFile}, "runs diff": {ids, ids},
	"runs show": {ids}, "runs logs": {ids}, "runs events": {ids}, "runs pause": {ids}, "runs resume": {ids}, "runs cancel": {ids}, "runs fork": {ids}, "runs export": {ids},
}

func operandsOf(command string) []operand {
	if o, ok := operands[command]; ok {
		return o
	}
	return []operand{scripts}
}

// valued are the flags of all commands that take a value, as a pattern.
func valued(verbs []verb) string {
	names := []string{"--color:*"}
	for _, v := range verbs {
		for _, one := range append([]verb{v}, v.subs...) {
			for _, f := range one.flags {
				if name := f.name + ":*"; f.takes && f.name != "--state" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return strings.Join(names, "|")
}

// bashOperand completes the word at hand.
func bashOperand(o operand) string {
	switch o {
	case scripts:
		return `IFS=$'\n'
       COMPREPLY=($(compgen -f -X '!*.slop' -- "$cur") $(compgen -d -S / -- "$cur")); compopt -o filenames -o nospace 2>/dev/null
       [ "${#COMPREPLY[@]}" = 1 ] && [[ "${COMPREPLY[0]}" != */ ]] && compopt +o nospace`
	case aFile:
		return `IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null`
	case shells:
		return `COMPREPLY=($(compgen -W "bash zsh fish" -- "$cur"))`
	case questions, steps:
		return `IFS=$'\n'; COMPREPLY=($(compgen -W "$(_slop_list ` + string(o) + ` "${args[0]}")" -- "$cur"))`
	}
	return `COMPREPLY=($(compgen -W "$(_slop_list ` + string(o) + `)" -- "$cur"))`
}

func bashCompletion(verbs []verb) string {
	var names, groups []string
	var flags, words strings.Builder
	command := func(v verb, pattern, name string) {
		fmt.Fprintf(&flags, "    %q) flags=%q ;;\n", pattern, v.flagNames())
		for i, o := range operandsOf(name) {
			at := strconv.Itoa(i)
			if o == scripts {
				at = "*"
			}
			fmt.Fprintf(&words, "    %s:%s) %s ;;\n", pattern, at, bashOperand(o))
		}
	}
	for _, v := range verbs {
		names = append(names, v.name)
		if len(v.subs) == 0 {
			command(v, v.name+":", v.name)
			continue
		}
		groups = append(groups, v.name)
		fmt.Fprintf(&flags, "    %q) flags=%q ;;\n", v.name+":", v.flagNames())
		fmt.Fprintf(&words, "    %s::*) COMPREPLY=($(compgen -W %q -- \"$cur\")) ;;\n", v.name, v.subNames())
		for _, sub := range v.subs {
			command(sub, v.name+":"+sub.name, v.name+" "+sub.name)
		}
	}
	return `# bash completion for slop: source <(slop completion bash)
_slop_list() { slop complete "$@" ${state:+--state "$state"} 2>/dev/null; }
_slop() {
  local cur prev verb sub state script flags w before IFS=$' \t\n'
  local -a args
  cur="${COMP_WORDS[COMP_CWORD]}"
  prev="${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$w" in
      *.slop) script="$w" ;;
      -*) ;;
      *) case "$before:$verb:$sub" in
           --state:*) state="$w" ;;
           ` + valued(verbs) + `) ;;
           *::) verb="$w" ;;
           *:` + strings.Join(groups, ":|*:") + `:) sub="$w" ;;
           *) args+=("$w") ;;
         esac ;;
    esac
    before="$w"
  done
  if [ -z "$verb" ] && [ "$prev" != --color ]; then
    COMPREPLY=($(compgen -W "` + strings.Join(names, " ") + ` --help --version --color" -- "$cur"))
    return
  fi
  case "$prev" in
    --color) COMPREPLY=($(compgen -W "auto always never" -- "$cur")); return ;;
    --format) COMPREPLY=($(compgen -W "ascii mermaid dot json" -- "$cur")); return ;;
    --events) COMPREPLY=($(compgen -W "ndjson" -- "$cur")); return ;;
    --status) COMPREPLY=($(compgen -W "` + fixedValues["--status"] + `" -- "$cur")); return ;;
    --state) IFS=$'\n'; COMPREPLY=($(compgen -d -S / -- "$cur")); compopt -o filenames -o nospace; return ;;
    --from) ` + bashOperand(steps) + `; return ;;
    -i|--set)
      [ -n "$script" ] && COMPREPLY=($(compgen -S = -W "$(_slop_list inputs "$script")" -- "$cur")) && compopt -o nospace
      return ;;
    --input|--script) IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames; return ;;
  esac
  case "$verb:$sub" in
` + flags.String() + `  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")); return ;;
  esac
  case "$verb:$sub:${#args[@]}" in
` + words.String() + `  esac
}
complete -F _slop slop
`
}

func zshCompletion(verbs []verb) string {
	var b strings.Builder
	b.WriteString("#compdef slop\n# zsh completion for slop: slop completion zsh > \"${fpath[1]}/_slop\"\n_slop() {\n  local -a verbs\n  verbs=(\n")
	for _, v := range verbs {
		fmt.Fprintf(&b, "    %s\n", zshQuote(v.name+":"+v.help))
	}
	b.WriteString(`  )
  local verb i
  for (( i = 2; i < CURRENT; i++ )); do
    case "$words[i]" in
      --color) (( i++ )) ;;
      -*) ;;
      *) verb="$words[i]"; break ;;
    esac
  done
  if [[ -z "$verb" ]]; then
    if [[ "$words[CURRENT-1]" = --color ]]; then compadd -- auto always never
    elif [[ "$words[CURRENT]" = -* ]]; then compadd -- --help --version --color
    else _describe 'command' verbs
    fi
    return
  fi
  case "$verb" in
`)
	for _, v := range verbs {
		if len(v.subs) == 0 {
			fmt.Fprintf(&b, "    %s) ", v.name)
			zshArguments(&b, v, 2, operandsOf(v.name))
			continue
		}
		fmt.Fprintf(&b, "    %s)\n      local -a subs\n      subs=(", v.name)
		for _, sub := range v.subs {
			fmt.Fprintf(&b, " %s", zshQuote(sub.name+":"+sub.help))
		}
		b.WriteString(" )\n      if (( CURRENT == 3 )) && [[ \"$words[3]\" != -* ]]; then _describe 'command' subs; return; fi\n      case \"$words[3]\" in\n")
		for _, sub := range v.subs {
			fmt.Fprintf(&b, "      %s) ", sub.name)
			zshArguments(&b, sub, 3, operandsOf(v.name+" "+sub.name))
		}
		b.WriteString("      *) ")
		zshArguments(&b, verb{flags: v.flags}, 3, nil)
		b.WriteString("      esac ;;\n")
	}
	b.WriteString(`  esac
}
_slop_inputs() {
  local script=${words[(r)*.slop]}
  [[ -n "$script" ]] && compadd -S = -- $(slop complete inputs "$script" 2>/dev/null)
}
# what slop lists, of the run on the line and in the folder that --state names
_slop_list() {
  local at=${words[(I)--state]} w
  local -a place
  (( at )) && place=(--state "${(Q)words[at+1]}")
  for w in $words[3,CURRENT-1]; do
    if [[ "$w" =~ '^0[0-9a-z]{3,25}$' ]]; then break; fi
    w=
  done
  compadd -- "${(@f)$(slop complete "$1" $w $place 2>/dev/null)}"
}
if [[ "$funcstack[1]" = _slop ]]; then _slop "$@"; else compdef _slop slop; fi
`)
	return b.String()
}

// zshArguments writes what may stand behind a command. _arguments counts its name among the words: the operands begin at place first.
func zshArguments(b *strings.Builder, v verb, first int, operands []operand) {
	b.WriteString("_arguments")
	for _, f := range v.flags {
		if f.name == "--set" || f.name == "-i" {
			fmt.Fprintf(b, " \\\n      '*'%s", zshQuote(f.name+"["+zshHelp(f.help)+"]:input:_slop_inputs"))
			continue
		}
		spec := f.name
		if f.takes && strings.HasPrefix(spec, "--") {
			spec += "=" // the value stands behind it as a word of its own, or behind the sign
		}
		spec += "[" + zshHelp(f.help) + "]"
		switch values := fixedValues[f.name]; {
		case values != "":
			spec += ":value:(" + values + ")"
		case f.name == "--from":
			spec += ":step:{_slop_list steps}"
		case slices.Contains(fileFlags, f.name):
			spec += ":file:_files"
		case slices.Contains(folderFlags, f.name):
			spec += ":folder:_files -/"
		case f.takes:
			spec += ":value:"
		}
		fmt.Fprintf(b, " \\\n      %s", zshQuote(spec))
	}
	for i, o := range operands {
		at, what := strconv.Itoa(first+i), "{_slop_list "+string(o)+"}"
		switch o {
		case scripts:
			at, what = "*", `_files -g "*.slop"`
		case aFile:
			what = "_files"
		case shells:
			what = "(bash zsh fish)"
		}
		fmt.Fprintf(b, " \\\n      '%s:%s:%s'", at, o, what)
	}
	b.WriteString(" ;;\n")
}

func zshQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func zshHelp(s string) string { return strings.NewReplacer("[", "(", "]", ")", ":", " -").Replace(s) }

func fishCompletion(verbs []verb) string {
	var b strings.Builder
	b.WriteString("# fish completion for slop: slop completion fish > ~/.config/fish/completions/slop.fish\n")
	b.WriteString("complete -c slop -f\n")
	b.WriteString(`function __slop_script; for w in (commandline -opc); string match -q '*.slop' -- $w; and echo $w; and return; end; end
# what slop lists, of the run on the line and in the folder that --state names
function __slop_list
  set -l words (commandline -opc)
  set -l run (string match -r '^0[0-9a-z]{3,25}$' -- $words)[1]
  set -l place
  if set -l at (contains -i -- --state $words); set place --state $words[(math $at + 1)]; end
  slop complete $argv[1] $run $place 2>/dev/null
end
function __slop_no_run; not string match -qr '^0[0-9a-z]{3,25}$' -- (commandline -opc); end
`)
	b.WriteString("complete -c slop -n __fish_use_subcommand -l help -d 'Show help.'\n")
	b.WriteString("complete -c slop -n __fish_use_subcommand -l version -d 'Print the version.'\n")
	b.WriteString("complete -c slop -n __fish_use_subcommand -l color -d 'When to use colour.' -x -a " + fishQuote(fixedValues["--color"]) + "\n")
	for _, v := range verbs {
		fmt.Fprintf(&b, "complete -c slop -n __fish_use_subcommand -a %s -d %s\n", v.name, fishQuote(v.help))
		if len(v.subs) == 0 {
			when := "__fish_seen_subcommand_from " + v.name
			if v.name == "resume" { // there is a `runs resume` too
				when += "; and not __fish_seen_subcommand_from runs"
			}
			fishFlags(&b, v, when)
			fishOperands(&b, when, operandsOf(v.name))
			continue
		}
		none := "__fish_seen_subcommand_from " + v.name + "; and not __fish_seen_subcommand_from " + v.subNames()
		for _, sub := range v.subs {
			fmt.Fprintf(&b, "complete -c slop -n '%s' -a %s -d %s\n", none, sub.name, fishQuote(sub.help))
			when := "__fish_seen_subcommand_from " + v.name + "; and __fish_seen_subcommand_from " + sub.name
			fishFlags(&b, sub, when)
			fishOperands(&b, when, operandsOf(v.name+" "+sub.name))
		}
	}
	return b.String()
}

// fishOperands writes what may stand behind a command. Of a run and what is of it, the run comes first.
func fishOperands(b *strings.Builder, when string, operands []operand) {
	for i, o := range operands {
		only, what := when, " -k -a '(__slop_list "+string(o)+")'"
		switch {
		case o == scripts:
			what = " -k -a '(__fish_complete_suffix .slop)'"
		case o == aFile:
			what = " -F"
		case o == shells:
			what = " -a 'bash zsh fish'"
		case o == questions || o == ids && i > 0:
			only += "; and not __slop_no_run"
		case o == ids || o == waits:
			only += "; and __slop_no_run"
		}
		fmt.Fprintf(b, "complete -c slop -n '%s'%s\n", only, what)
	}
}

func fishFlags(b *strings.Builder, v verb, when string) {
	for _, f := range v.flags {
		kind, name := "-l", strings.TrimPrefix(f.name, "--")
		if !strings.HasPrefix(f.name, "--") {
			kind, name = "-s", f.name[1:]
		}
		extra := ""
		switch values := fixedValues[f.name]; {
		case values != "":
			extra = " -x -a " + fishQuote(values)
		case f.name == "-i" || f.name == "--set":
			extra = ` -x -a '(slop complete inputs (__slop_script) 2>/dev/null | string replace -r "\$" "=")'`
		case f.name == "--from":
			extra = " -x -k -a '(__slop_list steps)'"
		case slices.Contains(fileFlags, f.name):
			extra = " -r -F"
		case slices.Contains(folderFlags, f.name):
			extra = " -x -a '(__fish_complete_directories)'"
		case f.takes:
			extra = " -x"
		}
		fmt.Fprintf(b, "complete -c slop -n '%s' %s %s -d %s%s\n", when, kind, name, fishQuote(f.help), extra)
	}
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

// completeCmd answers the completion scripts. It prints words, one a line, and never an error.
type completeCmd struct {
	What      string `arg:""`
	Of        string `arg:"" optional:""` // a script, or a run
	stateFlag `embed:""`
}

func (v *completeCmd) Run(c *console, k *kong.Kong) error {
	switch v.What {
	case "inputs":
		text, err := os.ReadFile(v.Of)
		if err != nil {
			return nil
		}
		for _, name := range inputNames(v.Of, string(text)) {
			fmt.Fprintln(c.out, name)
		}
	case "ids", "waiting", "questions", "steps":
		v.runs(c)
	case "codes":
		for _, e := range append(diag.Explanations(), failures...) {
			fmt.Fprintln(c.out, e.Code)
		}
	case "flows":
		for _, name := range standardFlows() {
			fmt.Fprintln(c.out, name)
		}
	case "topics":
		for _, name := range append(commandNames(k), topicNames()...) {
			fmt.Fprintln(c.out, name)
		}
	}
	return nil
}

// runs names the newest runs, those that wait for an answer, or the questions or steps of one.
func (v *completeCmd) runs(c *console) {
	folder, _, err := v.place()
	if err != nil {
		return
	}
	conf, err := v.storeConfig()
	if err != nil {
		return
	}
	if server, err := v.remote(conf); err != nil {
		return
	} else if _, missing := os.Stat(filepath.Join(folder, storeName)); missing != nil && server.address == "" {
		return // completing a word makes no folders
	}
	ctx, stop := context.WithTimeout(context.Background(), maxPatience)
	defer stop()
	st, err := v.open(ctx)
	if err != nil {
		return
	}
	defer st.close()
	if v.What == "ids" || v.What == "waiting" {
		entries, _, err := st.store.List(ctx, store.Filter{Waiting: v.What == "waiting"})
		if err != nil {
			return
		}
		for _, e := range entries {
			fmt.Fprintln(c.out, e.Run)
		}
		return
	}
	id, err := st.find(ctx, v.Of)
	if err != nil {
		return
	}
	h, err := st.history(ctx, id)
	if err != nil {
		return
	}
	view := h.fold().View()
	if v.What == "questions" {
		for _, step := range waiting(view) {
			fmt.Fprintln(c.out, step.Path)
		}
		return
	}
	for _, path := range stepNames(view) {
		fmt.Fprintln(c.out, path)
	}
}

// maxPatience is how long somebody waits who wants a word completed.
const maxPatience = 2 * time.Second

// maxNames is how many steps are offered.
const maxNames = 1000

// stepNames are the steps of a run as a fork may name them: the lines of the file first, which may be blocks of many.
func stepNames(view runs.View) []string {
	var names, within []string
	known := map[string]bool{}
	for _, step := range view.Steps {
		path := string(step.Path.Step())
		line := path
		if i := strings.IndexAny(path, "/[#^"); i > 0 {
			line = path[:i]
		}
		if !known[line] {
			known[line] = true
			names = append(names, line)
		}
		if !known[path] && len(within) < maxNames {
			known[path] = true
			within = append(within, path)
		}
	}
	return append(names, within...)
}
