package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/slopstudios/slop/lang/diag"
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
	folderFlags = []string{"--state"}
	fileFlags   = []string{"--input", "--script"}
)

func bashCompletion(verbs []verb) string {
	var names []string
	var cases strings.Builder
	for _, v := range verbs {
		names = append(names, v.name)
		fmt.Fprintf(&cases, "    %q) flags=%q ;;\n", v.name+":", v.flagNames())
		for _, sub := range v.subs {
			fmt.Fprintf(&cases, "    %q) flags=%q ;;\n", v.name+":"+sub.name, sub.flagNames())
		}
	}
	var groups, subs strings.Builder
	for _, v := range verbs {
		if len(v.subs) > 0 {
			fmt.Fprintf(&groups, "%s|", v.name)
			fmt.Fprintf(&subs, "    %s:*) if [ -z \"$sub\" ]; then COMPREPLY=($(compgen -W %q -- \"$cur\")); elif [ -z \"$arg\" ]; then COMPREPLY=($(compgen -W \"$(slop complete ids 2>/dev/null)\" -- \"$cur\")); fi ;;\n", v.name, v.subNames())
		}
	}
	return `# bash completion for slop: source <(slop completion bash)
_slop() {
  local cur prev verb sub arg script flags w before IFS=$' \t\n'
  cur="${COMP_WORDS[COMP_CWORD]}"
  prev="${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$w" in
      *.slop) script="$w" ;;
      -*) ;;
      *) case "$before:$verb:$sub" in
           --color:*) ;;
           *::) verb="$w" ;;
           -*) ;;
           *:` + strings.TrimSuffix(groups.String(), "|") + `:) sub="$w" ;;
           *) [ -z "$arg" ] && arg="$w" ;;
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
    -i|--set)
      [ -n "$script" ] && COMPREPLY=($(compgen -S = -W "$(slop complete inputs "$script" 2>/dev/null)" -- "$cur")) && compopt -o nospace
      return ;;
    --input|--script) IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames; return ;;
  esac
  case "$verb:$sub" in
` + cases.String() + `  esac
  case "$verb:$cur" in
    *:-*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    explain:*) COMPREPLY=($(compgen -W "$(slop complete codes 2>/dev/null)" -- "$cur")) ;;
    help:*) COMPREPLY=($(compgen -W "$(slop complete topics 2>/dev/null)" -- "$cur")) ;;
    completion:*) COMPREPLY=($(compgen -W "bash zsh fish" -- "$cur")) ;;
    version:*|agents:*|doctor:*) ;;
    resume:*) [ -z "$arg" ] && COMPREPLY=($(compgen -W "$(slop complete ids 2>/dev/null)" -- "$cur")) ;;
    answer:*) if [ -z "$arg" ]; then COMPREPLY=($(compgen -W "$(slop complete waiting 2>/dev/null)" -- "$cur"))
       else IFS=$'\n'; COMPREPLY=($(compgen -W "$(slop complete steps "$arg" 2>/dev/null)" -- "$cur")); fi ;;
    backup:*) IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null ;;
` + subs.String() + `    *) IFS=$'\n'
       COMPREPLY=($(compgen -f -X '!*.slop' -- "$cur") $(compgen -d -S / -- "$cur")); compopt -o filenames -o nospace 2>/dev/null
       [ "${#COMPREPLY[@]}" = 1 ] && [[ "${COMPREPLY[0]}" != */ ]] && compopt +o nospace ;;
  esac
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
			zshArguments(&b, v, v.name)
			continue
		}
		fmt.Fprintf(&b, "    %s)\n      local -a subs\n      subs=(", v.name)
		for _, sub := range v.subs {
			fmt.Fprintf(&b, " %s", zshQuote(sub.name+":"+sub.help))
		}
		b.WriteString(" )\n      if (( CURRENT == 3 )) && [[ \"$words[3]\" != -* ]]; then _describe 'command' subs; return; fi\n      case \"$words[3]\" in\n")
		for _, sub := range v.subs {
			fmt.Fprintf(&b, "      %s) ", sub.name)
			zshArguments(&b, sub, v.name)
		}
		b.WriteString("      *) ")
		zshArguments(&b, verb{flags: v.flags}, "version")
		b.WriteString("      esac ;;\n")
	}
	b.WriteString(`  esac
}
_slop_inputs() {
  local script=${words[(r)*.slop]}
  [[ -n "$script" ]] && compadd -S = -- $(slop complete inputs "$script" 2>/dev/null)
}
if [[ "$funcstack[1]" = _slop ]]; then _slop "$@"; else compdef _slop slop; fi
`)
	return b.String()
}

// zshArguments writes what may stand behind a command; kind says what it is about.
func zshArguments(b *strings.Builder, v verb, kind string) {
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
		case slices.Contains(fileFlags, f.name):
			spec += ":file:_files"
		case slices.Contains(folderFlags, f.name):
			spec += ":folder:_files -/"
		case f.takes:
			spec += ":value:"
		}
		fmt.Fprintf(b, " \\\n      %s", zshQuote(spec))
	}
	switch kind {
	case "explain":
		b.WriteString(" \\\n      '*:code:($(slop complete codes 2>/dev/null))'")
	case "help":
		b.WriteString(" \\\n      '*:topic:($(slop complete topics 2>/dev/null))'")
	case "completion":
		b.WriteString(" \\\n      '*:shell:(bash zsh fish)'")
	case "resume", "runs":
		b.WriteString(" \\\n      '*:run:($(slop complete ids 2>/dev/null))'")
	case "answer":
		b.WriteString(" \\\n      '1:run:($(slop complete waiting 2>/dev/null))' '2:step:($(slop complete steps \"$words[3]\" 2>/dev/null))'")
	case "backup":
		b.WriteString(" \\\n      '*:file:_files'")
	case "version", "agents", "doctor":
	default:
		b.WriteString(" \\\n      '*:script:_files -g \"*.slop\"'")
	}
	b.WriteString(" ;;\n")
}

func zshQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func zshHelp(s string) string { return strings.NewReplacer("[", "(", "]", ")", ":", " -").Replace(s) }

func fishCompletion(verbs []verb) string {
	var b strings.Builder
	b.WriteString("# fish completion for slop: slop completion fish > ~/.config/fish/completions/slop.fish\n")
	b.WriteString("complete -c slop -f\n")
	b.WriteString(`function __slop_script; for w in (commandline -opc); string match -q '*.slop' -- $w; and echo $w; and return; end; end` + "\n")
	b.WriteString("complete -c slop -n __fish_use_subcommand -l help -d 'Show help.'\n")
	b.WriteString("complete -c slop -n __fish_use_subcommand -l version -d 'Print the version.'\n")
	b.WriteString("complete -c slop -n __fish_use_subcommand -l color -d 'When to use colour.' -x -a " + fishQuote(fixedValues["--color"]) + "\n")
	var files []string
	for _, v := range verbs {
		fmt.Fprintf(&b, "complete -c slop -n __fish_use_subcommand -a %s -d %s\n", v.name, fishQuote(v.help))
		if len(v.subs) == 0 {
			fishFlags(&b, v, "__fish_seen_subcommand_from "+v.name)
		}
		for _, sub := range v.subs {
			none := "__fish_seen_subcommand_from " + v.name + "; and not __fish_seen_subcommand_from " + v.subNames()
			fmt.Fprintf(&b, "complete -c slop -n '%s' -a %s -d %s\n", none, sub.name, fishQuote(sub.help))
			fishFlags(&b, sub, "__fish_seen_subcommand_from "+v.name+"; and __fish_seen_subcommand_from "+sub.name)
			if sub.name != "list" && sub.name != "prune" {
				fmt.Fprintf(&b, "complete -c slop -n '__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s' -k -a '(slop complete ids 2>/dev/null)'\n", v.name, sub.name)
			}
		}
		switch v.name {
		case "run", "check", "fmt", "graph", "test", "repl":
			files = append(files, v.name)
		}
	}
	fmt.Fprintf(&b, "complete -c slop -n '__fish_seen_subcommand_from %s' -k -a '(__fish_complete_suffix .slop)'\n", strings.Join(files, " "))
	b.WriteString("complete -c slop -n '__fish_seen_subcommand_from resume; and not __fish_seen_subcommand_from runs' -k -a '(slop complete ids 2>/dev/null)'\n")
	b.WriteString("complete -c slop -n '__fish_seen_subcommand_from answer' -k -a '(slop complete waiting 2>/dev/null)'\n")
	b.WriteString("complete -c slop -n '__fish_seen_subcommand_from backup' -F\n")
	b.WriteString("complete -c slop -n '__fish_seen_subcommand_from explain' -a '(slop complete codes 2>/dev/null)'\n")
	b.WriteString("complete -c slop -n '__fish_seen_subcommand_from help' -a '(slop complete topics 2>/dev/null)'\n")
	b.WriteString("complete -c slop -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n")
	return b.String()
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
	What string `arg:""`
	File string `arg:"" optional:""`
}

func (v *completeCmd) Run(c *console, k *kong.Kong) error {
	switch v.What {
	case "inputs":
		text, err := os.ReadFile(v.File)
		if err != nil {
			return nil
		}
		for _, name := range inputNames(v.File, string(text)) {
			fmt.Fprintln(c.out, name)
		}
	case "ids", "waiting", "steps":
		v.runs(c)
	case "codes":
		for _, e := range append(diag.Explanations(), failures...) {
			fmt.Fprintln(c.out, e.Code)
		}
	case "topics":
		for _, name := range append(commandNames(k), topicNames()...) {
			fmt.Fprintln(c.out, name)
		}
	}
	return nil
}

// runs names the newest runs, those that wait for an answer, or the questions of one.
func (v *completeCmd) runs(c *console) {
	folder, _, err := stateFlag{}.place()
	if _, missing := os.Stat(filepath.Join(folder, storeName)); err != nil || missing != nil {
		return // completing a word makes no folders
	}
	ctx := context.Background()
	st, err := stateFlag{}.open(ctx)
	if err != nil {
		return
	}
	defer st.close()
	if v.What == "steps" {
		id, err := st.find(ctx, v.File)
		if err != nil {
			return
		}
		if e, err := st.store.GetEntry(ctx, id); err == nil {
			for _, path := range e.Waiting {
				fmt.Fprintln(c.out, path)
			}
		}
		return
	}
	entries, _, err := st.store.List(ctx, store.Filter{Waiting: v.What == "waiting"})
	if err != nil {
		return
	}
	for _, e := range entries {
		fmt.Fprintln(c.out, e.Run)
	}
}
