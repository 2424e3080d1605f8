package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/slopstudios/slop/lang/diag"
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
		one := verb{name: n.Name, help: n.Help}
		for _, group := range n.AllFlags(true) {
			for _, f := range group {
				one.flags = append(one.flags, flag{"--" + f.Name, f.Help, !f.IsBool()})
				if f.Short != 0 {
					one.flags = append(one.flags, flag{"-" + string(f.Short), f.Help, !f.IsBool()})
				}
			}
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
var fixedValues = map[string]string{"--color": "auto always never", "--format": "ascii mermaid dot json", "--events": "ndjson"}

func bashCompletion(verbs []verb) string {
	var names []string
	var cases strings.Builder
	for _, v := range verbs {
		names = append(names, v.name)
		fmt.Fprintf(&cases, "    %s) flags=%q ;;\n", v.name, v.flagNames())
	}
	return `# bash completion for slop: source <(slop completion bash)
_slop() {
  local cur prev verb script flags w before IFS=$' \t\n'
  cur="${COMP_WORDS[COMP_CWORD]}"
  prev="${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$w" in
      *.slop) script="$w" ;;
      -*) ;;
      *) [ -z "$verb" ] && [ "$before" != --color ] && verb="$w" ;;
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
    -i|--set)
      [ -n "$script" ] && COMPREPLY=($(compgen -S = -W "$(slop complete inputs "$script" 2>/dev/null)" -- "$cur")) && compopt -o nospace
      return ;;
    --input) IFS=$'\n'; COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames; return ;;
  esac
  case "$verb" in
` + cases.String() + `  esac
  case "$verb:$cur" in
    *:-*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    explain:*) COMPREPLY=($(compgen -W "$(slop complete codes 2>/dev/null)" -- "$cur")) ;;
    help:*) COMPREPLY=($(compgen -W "$(slop complete topics 2>/dev/null)" -- "$cur")) ;;
    completion:*) COMPREPLY=($(compgen -W "bash zsh fish" -- "$cur")) ;;
    version:*|agents:*) ;;
    *) IFS=$'\n'
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
		fmt.Fprintf(&b, "    %s) _arguments", v.name)
		for _, f := range v.flags {
			if f.name == "--set" || f.name == "-i" {
				fmt.Fprintf(&b, " \\\n      '*'%s", zshQuote(f.name+"["+zshHelp(f.help)+"]:input:_slop_inputs"))
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
			case f.name == "--input":
				spec += ":file:_files"
			case f.takes:
				spec += ":value:"
			}
			fmt.Fprintf(&b, " \\\n      %s", zshQuote(spec))
		}
		switch v.name {
		case "explain":
			b.WriteString(" \\\n      '*:code:($(slop complete codes 2>/dev/null))'")
		case "help":
			b.WriteString(" \\\n      '*:topic:($(slop complete topics 2>/dev/null))'")
		case "completion":
			b.WriteString(" \\\n      '*:shell:(bash zsh fish)'")
		case "version", "agents":
		default:
			b.WriteString(" \\\n      '*:script:_files -g \"*.slop\"'")
		}
		b.WriteString(" ;;\n")
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
			case f.name == "--input":
				extra = " -r -F"
			case f.takes:
				extra = " -x"
			}
			fmt.Fprintf(&b, "complete -c slop -n '__fish_seen_subcommand_from %s' %s %s -d %s%s\n", v.name, kind, name, fishQuote(f.help), extra)
		}
		switch v.name {
		case "run", "check", "fmt", "graph", "test", "repl":
			files = append(files, v.name)
		}
	}
	fmt.Fprintf(&b, "complete -c slop -n '__fish_seen_subcommand_from %s' -k -a '(__fish_complete_suffix .slop)'\n", strings.Join(files, " "))
	b.WriteString("complete -c slop -n '__fish_seen_subcommand_from explain' -a '(slop complete codes 2>/dev/null)'\n")
	b.WriteString("complete -c slop -n '__fish_seen_subcommand_from help' -a '(slop complete topics 2>/dev/null)'\n")
	b.WriteString("complete -c slop -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n")
	return b.String()
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
