package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/mcpserver"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

type mcpServeCmd struct {
	Listen    string `placeholder:"127.0.0.1:PORT" help:"Serve by HTTP at this address of this machine, instead of standard input and output. SLOP_MCP_TOKEN, if set, must be in each request."`
	Wait      string `placeholder:"45s" help:"How long a call waits for the end of its run, unless it says so itself."`
	NoAnswer  bool   `help:"Leave out the tool that answers questions: people answer, with slop answer."`
	Trust     bool   `help:"Trust the slop.toml that counts here, and remember it."`
	stateFlag `embed:""`
}

func (mcpServeCmd) Help() string {
	return `Published are the scripts that [publish] in slop.toml names, or, without it, those in
the folder flows beside slop.toml:

  [publish]
  review = "flows/review.slop"

Each is a tool with the script's inputs as its arguments; the // lines above the script
are its description. Beside them are run, status, list, answer, resume, cancel, check.
A run outlives the call and the server: slop runs lists it, slop resume goes on with it.`
}

// serveTag marks the runs that were begun by slop mcp serve.
const serveTag = "mcp"

func (v *mcpServeCmd) Run(c *console) error {
	wait := time.Duration(0)
	if v.Wait != "" {
		var err error
		if wait, err = plan.ParseDuration(v.Wait); err != nil {
			return usage("--wait %s: %s", v.Wait, err)
		}
	}
	var listener net.Listener
	if v.Listen != "" {
		host, _, err := net.SplitHostPort(v.Listen)
		if err != nil || host != "127.0.0.1" && host != "localhost" && host != "[::1]" && host != "::1" {
			return usage("--listen %s: the server is for this machine only: --listen 127.0.0.1:8090", v.Listen)
		}
		if listener, err = net.Listen("tcp", v.Listen); err != nil {
			return &exit{exitUnreachable, fmt.Errorf("--listen %s: %w", v.Listen, err)}
		}
		defer func() { _ = listener.Close() }()
	}
	pr, err := openProject("")
	if err != nil {
		return err
	}
	if err := pr.serve(); err != nil {
		return err
	}
	if err := c.trust(pr, v.Trust); err != nil {
		return err
	}
	flows, err := c.published(pr)
	if err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return usage("the folder you stand in is gone: cd to another")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	st, err := v.open(ctx)
	if err != nil {
		return err
	}
	h := storedHost(pr, st, c.err)
	defer h.close()
	options := run.Options{Pool: poolPrefix + here, Tags: []string{serveTag}, MaxParallel: pr.config.Run.MaxParallel}
	server, err := mcpserver.New(mcpserver.Config{
		Host: h.engine, Flows: flows, Options: options, Wait: wait, Answers: !v.NoAnswer, Version: versionText(),
		Ready: func(p *plan.Plan, inputs map[string]any) error {
			if err := missingModels(p, inputs); err != nil {
				return err
			}
			return pr.missingSecrets(p.Secrets)
		},
		List: func(ctx context.Context, limit int) ([]mcpserver.Entry, error) {
			entries, _, err := st.store.List(ctx, store.Filter{Pool: options.Pool, Tag: serveTag, Limit: limit})
			var out []mcpserver.Entry
			for _, e := range entries {
				out = append(out, mcpserver.Entry{Run: e.Run, Flow: e.Flow, Status: e.Status, Started: e.Started, Finished: e.Finished})
			}
			return out, err
		},
		Find: st.find,
		Check: func(script string) (any, bool) {
			_, diags := lang.Compile(source.NewFile("script.slop", script), pr.scope())
			text, err := diag.JSON(diags)
			var body struct {
				Diagnostics json.RawMessage `json:"diagnostics"`
			}
			if err == nil {
				err = json.Unmarshal(text, &body)
			}
			if err != nil || body.Diagnostics == nil {
				return []any{}, !diags.HasErrors()
			}
			return body.Diagnostics, !diags.HasErrors()
		},
	})
	if err != nil {
		return usage("%s", err)
	}
	if listener == nil {
		if c.outTerminal && c.asks {
			fmt.Fprintf(c.err, "This speaks the Model Context Protocol on standard input and output; a client starts it:  slop mcp serve\nPublished: %s. Ctrl-C ends it.\n", flowNames(flows))
		}
		return server.Stdio(ctx)
	}
	return v.serveHTTP(ctx, c, server, listener, flows)
}

func flowNames(flows []mcpserver.Flow) string {
	names := make([]string, len(flows))
	for i, f := range flows {
		names[i] = f.Name
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

func (v *mcpServeCmd) serveHTTP(ctx context.Context, c *console, server *mcpserver.Server, listener net.Listener, flows []mcpserver.Flow) error {
	token := os.Getenv("SLOP_MCP_TOKEN")
	web := &http.Server{Handler: server.Handler(token), ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintf(c.err, "MCP server at http://%s/, published: %s\n", listener.Addr(), flowNames(flows))
	if token == "" {
		fmt.Fprintln(c.err, "Every program of this machine may use it; SLOP_MCP_TOKEN=… asks for a token.")
	}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	within, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := web.Shutdown(within); errors.Is(err, context.DeadlineExceeded) {
		_ = web.Close() // calls that wait are told nothing; their runs are kept
	}
	return nil
}

// published compiles the flows that others may run.
func (c *console) published(pr *project) ([]mcpserver.Flow, error) {
	scripts := pr.config.Publish
	if len(scripts) == 0 {
		scripts = map[string]string{}
		files, _ := filepath.Glob(filepath.Join(pr.root, "flows", "*.slop")) // the pattern is sound
		for _, file := range files {
			scripts[toolName(strings.TrimSuffix(filepath.Base(file), ".slop"))] = file
		}
	}
	var names []string
	for name := range scripts {
		names = append(names, name)
	}
	slices.Sort(names)
	var flows []mcpserver.Flow
	for _, name := range names {
		path := scripts[name]
		if rel, err := filepath.Rel(here(), path); err == nil && !strings.HasPrefix(rel, "..") {
			path = rel
		}
		src, err := c.readScript(path)
		if err != nil {
			return nil, err
		}
		p, _, diags := c.compileIn(pr, src)
		if diags.HasErrors() {
			diag.Print(c.err, diags, c.style.On)
			return nil, &exit{exitScript, fmt.Errorf("%s is published and has mistakes", path)}
		}
		flows = append(flows, mcpserver.Flow{Name: name, Doc: topComment(src.Text), Plan: p})
	}
	if len(flows) == 0 {
		fmt.Fprintln(c.err, "nothing is published: name scripts under [publish] in slop.toml, or put them into the folder flows (slop help mcp)")
	}
	return flows, nil
}

// toolName is a file's name as a tool may have it.
func toolName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}

// topComment is what stands above a script.
func topComment(text string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimLeft(text, "\ufeff\r\n\t "), "\n") {
		words, ok := strings.CutPrefix(strings.TrimSpace(line), "//")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimSpace(words))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
