// Package process runs a command and ends it together with everything it started.
//
// A command gets a session of its own, so it has no terminal and no signal meant for us reaches it. When its time is up the whole tree is
// told to stop (SIGTERM), and after a grace it is made to (SIGKILL):
//
//	slop ── root (its own session, dies with us) ── child ── grandchild
//	                                                  └────── setsid ── stray, may ignore SIGTERM and hold our pipe
//
// Who belongs to the tree is answered by looking, at that moment, at four things: the chain of parents, the process group, the session, and a
// mark in the environment, which a process keeps when its parents are gone. Each is counted only if it is younger than the root, and is
// signalled through a handle that is checked against its time of birth, so a number that was given to a stranger meanwhile hurts nobody.
// The mark is why we do not become a "child subreaper": that is a property of our whole process and would hand us the orphans, and the zombies,
// of every other package that starts a program. What escapes: a process that clears its environment, leaves the session, and outlives its parents.
// Elsewhere than on Linux only the process group is ended.
//
// When we are killed the root dies with us and its descendants do not. Note keeps a note of every command under way, so that another process can end them by their
// marks: EndLeftovers.
package process

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Command is a program to run. Only Argv is needed.
type Command struct {
	Argv  []string // program and arguments; no shell is involved
	Dir   string   // working folder; "" is ours
	Env   []string // the whole environment, as "NAME=value"; see Environ
	Stdin []byte
	Input io.Reader // instead of Stdin: as long as it lasts; whoever gave it closes it when Run has returned

	Out    func(chunk []byte) // sees stdout as it comes, always from one goroutine; may be nil
	MaxOut int                // bytes of stdout kept; more is ErrOutput. 0 keeps nothing (Out sees it all)
	MaxErr int                // bytes of stderr kept, its end; 0 is 8 KiB
	Err    func(chunk []byte) // sees stderr as it comes; may be nil

	Idle  time.Duration // end it when stdout and stderr have been silent for so long; 0: never
	Grace time.Duration // between SIGTERM and SIGKILL; 0 is 3 s
	Sweep bool          // when it ends by itself, end what it left running, too
}

// Result is how a command ended.
type Result struct {
	Stdout []byte
	Stderr []byte // its last MaxErr bytes
	Code   int    // exit code; -1 when a signal ended it
	Signal string // "killed", "segmentation fault"; "" when it exited by itself
}

// Reasons why Run ended a command, or could not begin.
var (
	ErrNotFound = errors.New("command not found")
	ErrIdle     = errors.New("no output")
	ErrOutput   = errors.New("too much output")
	ErrFolder   = errors.New("the working folder is not there")
)

// drain is how long the pipes may stay open after the command itself has ended: somebody it left behind holds them.
const drain = time.Second

// settle is how long Run waits for the kernel after SIGKILL.
const settle = time.Second

// mark names the environment variable that all processes of a tree carry.
const mark = "SLOP_TREE"

// Run runs a command to its end. The error is nil whenever the command ended by itself, whatever its code.
// When ctx ends, the tree is ended first and the error is context.Cause(ctx). ErrNotFound, ErrFolder, fs.ErrPermission, ErrIdle and ErrOutput are for errors.Is.
func Run(ctx context.Context, c Command) (Result, error) {
	if err := context.Cause(ctx); err != nil {
		return Result{Code: -1}, err
	}
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return Result{Code: -1}, fmt.Errorf("%w: the command is empty", ErrNotFound)
	}
	if c.Dir != "" {
		if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
			return Result{Code: -1}, fmt.Errorf("%w: %s", ErrFolder, c.Dir)
		}
	}

	alive := make(chan struct{}, 1) // a sign of life
	over := make(chan struct{})     // closed when stdout is more than MaxOut
	out := &head{max: c.MaxOut, over: over, tee: c.Out, alive: alive}
	errs := &tail{max: c.MaxErr, alive: alive, tee: c.Err}
	if errs.max == 0 {
		errs.max = 8 << 10
	}
	token := newToken()
	defer note(token)()
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Dir, cmd.Env = c.Dir, append(slices.Clip(c.Env), mark+"="+marks(token))
	if dir, err := filepath.Abs(c.Dir); err == nil && c.Dir != "" {
		cmd.Env = append(cmd.Env, "PWD="+dir)
	}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.WaitDelay = drain
	switch {
	case c.Input != nil:
		cmd.Stdin = c.Input
	case c.Stdin != nil:
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	cmd.SysProcAttr = attributes()

	var t *tree
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		// The kernel ends the root when the thread that started it ends, so the thread stays until the root is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err != nil {
			started <- err
			return
		}
		t = newTree(cmd.Process.Pid, token) // before Wait: until then the number is the root's, even if it has ended
		started <- nil
		ended <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %s", ErrNotFound, c.Argv[0])
		}
		return Result{Code: -1}, err
	}
	reason := watch(ctx, c.Idle, alive, over, ended)
	if reason != nil || c.Sweep {
		end(t, positive(c.Grace, 3*time.Second), reason == nil, ended)
	}

	r := Result{Stdout: out.bytes(), Stderr: errs.bytes(), Code: -1}
	if state := cmd.ProcessState; reason == nil && state != nil {
		r.Code, r.Signal = state.ExitCode(), signalName(state)
	}
	if reason == nil && out.full() {
		reason = ErrOutput
	}
	return r, reason
}

// watch waits for the end of the command (nil) or for a reason to end it.
func watch(ctx context.Context, idle time.Duration, alive, over <-chan struct{}, ended <-chan error) error {
	var silence <-chan time.Time
	timer := time.NewTimer(positive(idle, time.Hour))
	defer timer.Stop()
	if idle > 0 {
		silence = timer.C
	}
	for {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-over:
			return ErrOutput
		case <-silence:
			return fmt.Errorf("%w for %v", ErrIdle, idle)
		case <-alive:
			if idle > 0 {
				timer.Reset(idle)
			}
		}
	}
}

var (
	hurry    = make(chan struct{})
	hurrying sync.Once
)

// Hurry ends the grace of every command at once, now and later: this process is about to end and will not wait, but leave nothing behind either.
func Hurry() { hurrying.Do(func() { close(hurry) }) }

// end tells the tree to stop, waits for the grace, and makes it stop. done says that the root has ended and was waited for.
func end(t *tree, grace time.Duration, done bool, ended <-chan error) {
	for _, step := range []struct {
		signal func()
		wait   time.Duration
		repeat bool            // a process may be born between looking and killing
		short  <-chan struct{} // ends the wait
	}{{t.terminate, grace, false, hurry}, {t.kill, settle, true, nil}} {
		if done && !t.alive() {
			return
		}
		step.signal()
		limit := time.NewTimer(step.wait)
		for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
			over := false
			select {
			case <-ended:
				done, ended = true, nil
			case <-time.After(pause):
			case <-limit.C:
				over = true
			case <-step.short:
				over = true
			}
			if done && !t.alive() {
				limit.Stop()
				return
			}
			if over {
				break
			}
			if step.repeat {
				step.signal()
			}
		}
	}
}

// Environ is the part of our environment that a command may see: what programs need to find their way (PATH, HOME, language, time zone,
// certificates, proxies), and the names given. Keys and tokens of other programs are not handed on.
func Environ(names ...string) []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(allowed, strings.ToUpper(name)) || strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "XDG_") || slices.Contains(names, name) {
			env = append(env, entry)
		}
	}
	return env
}

var allowed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR", "TEMP", "TMP",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSH_AUTH_SOCK",
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "USERPROFILE",
}

const tokenBytes = 12

// newToken is unique to a tree.
func newToken() string {
	var b [tokenBytes]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// marks are what the members of a tree carry. A slop that runs inside a slop keeps the outer token too, so that the outer one finds its grandchildren.
func marks(token string) string {
	if outer := os.Getenv(mark); outer != "" && len(outer) < 512 {
		return outer + ":" + token
	}
	return token
}

// head keeps the first max bytes and reports once when there are more. It never refuses a write: the command is ended by its tree, not by its pipe.
type head struct {
	mu    sync.Mutex
	buf   []byte
	max   int
	over  chan struct{}
	cut   bool
	tee   func([]byte)
	alive chan<- struct{}
}

func (h *head) Write(p []byte) (int, error) {
	touch(h.alive)
	if h.tee != nil {
		h.tee(p)
	}
	if h.max == 0 {
		return len(p), nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	room := min(len(p), h.max-len(h.buf))
	h.buf = append(h.buf, p[:room]...)
	if room < len(p) && !h.cut {
		h.cut = true
		close(h.over)
	}
	return len(p), nil
}

func (h *head) bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.buf)
}

func (h *head) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cut
}

// tail keeps the last max bytes.
type tail struct {
	mu    sync.Mutex
	buf   []byte
	max   int
	tee   func([]byte)
	alive chan<- struct{}
}

func (t *tail) Write(p []byte) (int, error) {
	touch(t.alive)
	if t.tee != nil {
		t.tee(p)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.max; over > t.max { // moved seldom, so that many small writes stay cheap
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.buf[max(0, len(t.buf)-t.max):])
}

func touch(alive chan<- struct{}) {
	select {
	case alive <- struct{}{}:
	default: // one sign of life is enough
	}
}

func positive(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
