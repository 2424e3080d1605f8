package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/stdlib/remote"
)

// agentCmd groups what is for people who write agents.
type agentCmd struct {
	Test agentTestCmd `cmd:"" help:"Hold a program to the protocol of agents."`
}

type agentTestCmd struct {
	Do      bool          `help:"Make the example calls of capabilities that change the world, too."`
	Env     []string      `help:"Names of environment variables that the program may see." placeholder:"NAME"`
	Timeout time.Duration `help:"How long one call may take." default:"1m"`
	JSON    bool          `name:"json" help:"Print the results as JSON."`
	Command []string      `arg:"" optional:"" passthrough:"" help:"The program and its arguments."`
}

func (agentTestCmd) Help() string {
	return `Starts the program, talks to it as a run would, and says what it does right and wrong. The protocol is in spec/agent-protocol.md. Exits with 1 when a part failed.`
}

func (v *agentTestCmd) Run(c *console) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	command := v.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		return usage("slop agent test needs a program: slop agent test ./my-agent")
	}
	if !strings.Contains(command[0], "/") {
		if info, err := os.Stat(command[0]); err == nil && info.Mode().IsRegular() {
			command[0] = "./" + command[0] // a file of that name is what was meant
		}
	}
	if strings.Contains(command[0], "/") {
		whole, err := filepath.Abs(command[0])
		if err != nil {
			return err
		}
		command[0] = whole
	}
	st := c.outStyle
	results := []remote.Result{}
	count := map[remote.Verdict]int{}
	say := func(r remote.Result) {
		count[r.Verdict]++
		results = append(results, r)
		if v.JSON {
			return
		}
		sign := st.Green("✓")
		switch r.Verdict {
		case remote.Failed:
			sign = st.Red("✗")
		case remote.Skipped:
			sign = st.Yellow("-")
		}
		fmt.Fprintf(c.out, "%s %s\n", sign, screen.Inert(r.Part))
		if r.Detail = strings.TrimSpace(r.Detail); r.Detail != "" {
			fmt.Fprintln(c.out, indent(st.Dim(wrapText(screen.Inert(r.Detail), 90)), "    "))
		}
	}
	ok := remote.Test(ctx, remote.Program{Name: filepath.Base(command[0]), Command: command, Env: v.Env}, remote.TestOptions{Do: v.Do, Limit: v.Timeout}, say)
	if v.JSON {
		c.printJSON(map[string]any{"ok": ok, "results": results})
	} else {
		fmt.Fprintf(c.out, "%d passed, %d failed, %d skipped\n", count[remote.Passed], count[remote.Failed], count[remote.Skipped])
	}
	if !ok {
		return &exit{code: exitFailed}
	}
	return nil
}
