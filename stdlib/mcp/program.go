package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/process"
)

// maxLine is the longest message of a server. An answer may have 32 MiB; as JSON it is longer.
const maxLine = 48 << 20

// maxLog is the size at which a log begins anew.
const maxLog = 1 << 20

// installed reports whether the program is there.
func (c *Config) installed() error {
	if c.Transport != nil {
		return nil
	}
	name := c.Command[0]
	if c.Folder != "" && !filepath.IsAbs(name) && strings.ContainsRune(name, filepath.Separator) {
		name = filepath.Join(c.Folder, name)
	}
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("there is no program %q for the MCP server %s: install it, or change command under [mcp.%s] in slop.toml", c.Command[0], c.Name, c.Name)
	}
	return nil
}

// transport is the way to the server.
func (c *Config) transport(l *link) (sdk.Transport, error) {
	switch {
	case c.Transport != nil:
		return c.Transport(), nil
	case c.URL != "":
		return c.web()
	}
	p, err := c.start()
	if err != nil {
		return nil, err
	}
	l.program = p
	return &sdk.IOTransport{Reader: l.program.out, Writer: l.program.in, MaxLineLength: -1}, nil // out bounds its lines itself
}

// program is a server that runs as a process of its own, with all that it started.
type program struct {
	in     *os.File // a pipe of the system: nothing copies into it, so that the end of the program is known at once
	out    *io.PipeReader
	cancel context.CancelCauseFunc
	done   chan struct{}
	log    *log
	file   string

	mu  sync.Mutex
	why string // it ended
}

func (c *Config) start() (*program, error) {
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	out, stdout := io.Pipe()
	p := &program{in: in, out: out, cancel: cancel, done: make(chan struct{}), log: c.logger(), file: c.Log}
	lines := &lines{to: stdout, log: p.log, over: func() { cancel(fmt.Errorf("it wrote a line of more than %d MiB", maxLine>>20)) }}
	go func() {
		defer close(p.done)
		r, err := process.Run(ctx, process.Command{
			Argv: c.Command, Dir: c.Folder, Env: process.Environ(c.Env...), Input: stdin, Out: lines.write, Err: p.log.write, Grace: time.Second, Sweep: true,
		})
		p.mu.Lock()
		switch {
		case err != nil && !errors.Is(err, errStop):
			p.why = err.Error()
		case err != nil:
		case r.Signal != "":
			p.why = "a signal ended it: " + r.Signal
		case r.Code != 0:
			p.why = fmt.Sprintf("it ended with exit code %d", r.Code)
		default:
			p.why = "it ended"
		}
		p.mu.Unlock()
		_ = stdin.Close()
		_ = stdout.Close()
		p.log.close()
	}()
	return p, nil
}

// errStop is why a program ends that is not needed any more.
var errStop = errors.New("it is not needed any more")

// stop ends the program: it may end by itself for a moment, since its standard input ends, and then it is told to.
func (p *program) stop(awhile time.Duration) {
	_ = p.in.Close()
	if awhile > 0 {
		select {
		case <-p.done:
		case <-time.After(awhile):
		}
	}
	p.cancel(errStop)
	<-p.done
}

// end says why the program ended by itself; "" while it has not. It waits for a moment: the connection breaks before the program is gone.
func (p *program) end() string {
	select {
	case <-p.done:
	case <-time.After(patience):
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// where says where to read what the program had to say.
func (p *program) where() string {
	if p.file == "" {
		return ""
	}
	return " (what it wrote on stderr is in " + p.file + ")"
}

// lines hands on each line that is a message. What else a program prints on stdout goes into its log: many print a greeting there, and a message that
// cannot be read would end the connection.
type lines struct {
	to   *io.PipeWriter
	log  *log
	over func()
	part []byte
	cut  bool
}

func (l *lines) write(chunk []byte) {
	for len(chunk) > 0 && !l.cut {
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			l.part = append(l.part, chunk...)
			if len(l.part) > maxLine {
				l.cut, l.part = true, nil
				_ = l.to.CloseWithError(fmt.Errorf("a line of more than %d MiB", maxLine>>20))
				l.over()
			}
			return
		}
		line := append(l.part, chunk[:i]...)
		l.part, chunk = nil, chunk[i+1:]
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if (line[0] != '{' && line[0] != '[') || !json.Valid(line) {
			l.log.write(append([]byte("stdout: "), append(line[:min(len(line), 1000)], '\n')...))
			continue
		}
		if _, err := l.to.Write(append(line, '\n')); err != nil {
			l.cut = true // nobody reads any more
		}
	}
}

// log is where stderr goes. Values of secrets are blacked out, line by line.
type log struct {
	mu     sync.Mutex
	file   *os.File
	hide   *strings.Replacer
	part   []byte
	size   int64
	closed bool
}

func (c *Config) logger() *log {
	l := &log{}
	var pairs []string
	for name, value := range c.secrets() {
		for _, form := range agent.Forms(value) {
			pairs = append(pairs, form, "‹"+name+"›")
		}
	}
	l.hide = strings.NewReplacer(pairs...)
	if c.Log == "" || os.MkdirAll(filepath.Dir(c.Log), 0o700) != nil {
		return l
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(c.Log); err == nil && info.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	if f, err := os.OpenFile(c.Log, flags, 0o600); err == nil {
		l.file = f
	}
	return l
}

func (l *log) write(chunk []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil || l.closed || l.size > maxLog {
		return
	}
	l.part = append(l.part, chunk...)
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 && len(l.part) < 64<<10 {
			return
		}
		if i < 0 {
			i = len(l.part) - 1
		}
		l.line(l.part[:i+1])
		l.part = append([]byte(nil), l.part[i+1:]...)
	}
}

func (l *log) line(b []byte) {
	n, _ := l.file.WriteString(l.hide.Replace(string(b))) // a log that cannot be written stops nobody
	l.size += int64(n)
}

func (l *log) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil || l.closed {
		return
	}
	l.closed = true
	l.line(append(l.part, '\n'))
	_ = l.file.Close()
}
