// Package node asks a user's own @strudel/* packages what code plays, in a process of Node's that may read them and nothing else.
package node

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slopstudios/slop/stdlib/process"
	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

//go:embed engine.mjs
var engine string

// Bounds of a question. Node takes a second or two to begin.
const (
	patience  = 60 * time.Second
	memoryMiB = 256
	maxAnswer = 64 << 20
)

// ErrUnavailable: Node or the packages are not there, or did not answer.
var ErrUnavailable = errors.New("the Strudel packages cannot be asked")

// Answer is what the packages say of a piece of code.
type Answer struct {
	Problem string // why it does not play; the packages' own words
	CPS     float64
	Events  []pattern.Event
}

// Ready reports what is missing before the packages below a folder can be asked.
func Ready(folder string) error {
	_, err := command(folder)
	return err
}

// Ask asks the packages below folder/node_modules.
func Ask(ctx context.Context, folder, code string, cycles int) (Answer, error) {
	argv, err := command(folder)
	if err != nil {
		return Answer{}, err
	}
	request, err := json.Marshal(map[string]any{"code": code, "cycles": cycles})
	if err != nil {
		return Answer{}, fmt.Errorf("ask the Strudel packages: %w", err)
	}
	ctx, stop := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%w: no answer within %v", ErrUnavailable, patience))
	defer stop()
	// The environment is empty: nothing of ours is the packages' business. The working folder is one where nothing is.
	result, err := process.Run(ctx, process.Command{Argv: argv, Dir: os.TempDir(), Stdin: append(request, '\n'), MaxOut: maxAnswer, Sweep: true, Grace: time.Second})
	switch {
	case errors.Is(err, process.ErrOutput):
		return Answer{}, pattern.ErrMany
	case err != nil:
		return Answer{}, fmt.Errorf("ask the Strudel packages: %w", err)
	case len(bytes.TrimSpace(result.Stdout)) == 0:
		return Answer{}, fmt.Errorf("%w: node ended with %d %s: %s", ErrUnavailable, result.Code, result.Signal, lastLine(result.Stderr))
	}
	return read(result.Stdout)
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if line := strings.TrimSpace(lines[i]); line != "" && !strings.HasPrefix(line, "Node.js v") && !strings.HasPrefix(line, "at ") && line != "}" {
			return line
		}
	}
	return "it said nothing"
}

func read(text []byte) (Answer, error) {
	var a struct {
		Error  string
		Broken string
		CPS    float64
		Events []struct {
			Whole *[2]string
			Part  [2]string
			Value any
		}
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return Answer{}, fmt.Errorf("%w: their answer is no JSON: %v", ErrUnavailable, err)
	}
	if a.Broken != "" {
		return Answer{}, fmt.Errorf("%w: %s", ErrUnavailable, a.Broken)
	}
	out := Answer{Problem: a.Error, CPS: a.CPS}
	for _, e := range a.Events {
		part, err := span(e.Part)
		if err != nil {
			return Answer{}, err
		}
		event := pattern.Event{Part: part}
		if e.Whole != nil {
			whole, err := span(*e.Whole)
			if err != nil {
				return Answer{}, err
			}
			event.Whole = &whole
		}
		var ok bool
		if event.Value, ok = e.Value.(map[string]any); !ok {
			event.Value = map[string]any{"value": e.Value}
		}
		out.Events = append(out.Events, event)
	}
	slices.SortStableFunc(out.Events, func(a, b pattern.Event) int { return a.Part.Begin.Cmp(b.Part.Begin) })
	return out, nil
}

func span(s [2]string) (pattern.Span, error) {
	begin, err := pattern.ParseTime(s[0])
	if err != nil {
		return pattern.Span{}, err
	}
	end, err := pattern.ParseTime(s[1])
	return pattern.Span{Begin: begin, End: end}, err
}

// command is how the engine is started: without a network where the system can take it away, with files to read below the packages' folder only.
func command(folder string) ([]string, error) {
	program, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("%w: node is not on PATH: install Node.js 20 or newer, or leave `engine` out of slop.toml", ErrUnavailable)
	}
	folder, err = filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "@strudel", "core")); err != nil {
		return nil, fmt.Errorf("%w: they are not in %s: npm install @strudel/core @strudel/mini @strudel/transpiler @strudel/tonal there", ErrUnavailable, folder)
	}
	permission, err := permissionFlag(program)
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(alone()), program, "--no-warnings", permission, "--allow-fs-read="+filepath.Join(folder, "node_modules")+string(filepath.Separator), "--allow-fs-read="+filepath.Join(folder, "package.json"),
		"--experimental-vm-modules", "--experimental-import-meta-resolve", "--max-old-space-size="+strconv.Itoa(memoryMiB),
		"--input-type=module", "--eval", engine, "--", folder), nil
}

// permissionFlag turns on Node's permissions, which lost their "experimental" in Node 23.5.
var permissionFlag = func() func(program string) (string, error) {
	var mu sync.Mutex
	known := map[string]string{}
	return func(program string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if flag, ok := known[program]; ok {
			return flag, nil
		}
		for _, flag := range []string{"--permission", "--experimental-permission"} {
			if exec.Command(program, flag, "--eval", "0").Run() == nil {
				known[program] = flag
				return flag, nil
			}
		}
		return "", fmt.Errorf("%w: this node knows no permissions: install Node.js 20 or newer", ErrUnavailable)
	}
}()

// alone takes the network away: the words before a command that gives it a network of its own with nothing in it. Empty where the system has no such thing.
var alone = sync.OnceValue(func() []string {
	for _, words := range [][]string{{"unshare", "--net"}, {"unshare", "--map-root-user", "--net"}} {
		if program, err := exec.LookPath(words[0]); err == nil && exec.Command(program, append(words[1:], "true")...).Run() == nil {
			return append([]string{program}, words[1:]...)
		}
	}
	return nil
})
