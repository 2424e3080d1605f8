//go:build unix

package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slopstudios/slop/stdlib/process"
)

// TestMain lets the test binary play the programs of these tests.
func TestMain(m *testing.M) {
	if role := os.Getenv("ROLE"); role != "" {
		play(role)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func play(role string) {
	switch role {
	case "stray": // ignores SIGTERM, holds stdout, lives long
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
		note("stray")
		time.Sleep(time.Minute)
	case "parent": // has a stray in another session and waits for it
		spawn("stray").Wait()
	case "grandparent": // its child has a stray and ends at once, so the stray loses its parents
		spawn("leaver").Wait()
		note("orphaned")
		time.Sleep(time.Minute)
	case "leaver":
		spawn("stray")
		await(filepath.Join(os.Getenv("NOTES"), "stray"))
	case "host": // runs a command and is killed itself
		process.Run(context.Background(), process.Command{Argv: []string{os.Args[0]}, Env: append(os.Environ(), "ROLE=plain")})
	case "noted": // leaves a stray on purpose, then runs a command with another and is killed itself
		process.Note(filepath.Join(os.Getenv("NOTES"), "notes"), "noted")
		process.Run(context.Background(), process.Command{Argv: []string{os.Args[0]}, Env: append(os.Environ(), "ROLE=leaver")})
		os.Rename(filepath.Join(os.Getenv("NOTES"), "stray"), filepath.Join(os.Getenv("NOTES"), "daemon"))
		process.Run(context.Background(), process.Command{Argv: []string{os.Args[0]}, Env: append(os.Environ(), "ROLE=parent")})
	case "plain":
		note("plain")
		time.Sleep(time.Minute)
	}
}

func spawn(role string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ROLE="+role)
	cmd.Stdout = os.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	return cmd
}

// note writes our number where the test waits for it.
func note(name string) {
	file := filepath.Join(os.Getenv("NOTES"), name)
	os.WriteFile(file+".new", []byte(strconv.Itoa(os.Getpid())), 0o600)
	os.Rename(file+".new", file)
}

func await(file string) int {
	for range 2000 {
		if text, err := os.ReadFile(file); err == nil {
			pid, _ := strconv.Atoi(string(text))
			return pid
		}
		time.Sleep(5 * time.Millisecond)
	}
	panic("never came: " + file)
}

func gone(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) != nil
	}
	rest := text[bytes.LastIndexByte(text, ')')+2:]
	return rest[0] == 'Z' || rest[0] == 'X'
}

func self(t *testing.T, role string) (process.Command, string) {
	notes := t.TempDir()
	return process.Command{
		Argv: []string{os.Args[0]}, Env: append(process.Environ("GOCOVERDIR"), "ROLE="+role, "NOTES="+notes), MaxOut: 1 << 20,
	}, notes
}

const grace = 300 * time.Millisecond

// A grandchild in its own session, deaf to SIGTERM and holding stdout, is gone within the grace and five seconds, and Run has returned.
func TestCancelEndsTheWholeTree(t *testing.T) {
	for role, ready := range map[string]string{"parent": "stray", "grandparent": "orphaned"} {
		t.Run(role, func(t *testing.T) {
			c, notes := self(t, role)
			c.Grace = grace
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { _, err := process.Run(ctx, c); done <- err }()
			await(filepath.Join(notes, ready))
			stray := await(filepath.Join(notes, "stray"))
			if gone(stray) {
				t.Fatal("the stray ended before anybody asked it to")
			}
			cancelled := time.Now()
			cancel()
			select {
			case err := <-done:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("error = %v", err)
				}
			case <-time.After(grace + 5*time.Second):
				t.Fatal("Run did not return within the grace and five seconds")
			}
			if !gone(stray) {
				t.Errorf("the stray %d lives", stray)
			}
			if took := time.Since(cancelled); took < grace {
				t.Errorf("took %v: the grace was not kept", took)
			}
		})
	}
}

// What a command leaves running keeps neither Run waiting nor, unless swept, is ended.
func TestLeftovers(t *testing.T) {
	for _, sweep := range []bool{false, true} {
		c, notes := self(t, "leaver")
		c.Sweep, c.Grace = sweep, grace
		began := time.Now()
		if _, err := process.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("Run waited %v for a pipe that others hold", took)
		}
		stray := await(filepath.Join(notes, "stray"))
		if gone(stray) != sweep {
			t.Errorf("sweep %v: gone is %v", sweep, gone(stray))
		}
		syscall.Kill(stray, syscall.SIGKILL)
	}
}

// Of a process that was killed, what its command left running is ended; what a command that had ended left on purpose, and what a living process runs, is not.
func TestEndLeftovers(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("Linux only")
	}
	dir := t.TempDir()
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), "ROLE=noted", "NOTES="+dir)
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	daemon := await(filepath.Join(dir, "daemon"))
	defer syscall.Kill(daemon, syscall.SIGKILL)
	stray := await(filepath.Join(dir, "stray"))
	defer syscall.Kill(stray, syscall.SIGKILL)
	notes := filepath.Join(dir, "notes")
	alive := func(string) bool { return false }
	if n := process.EndLeftovers(notes, alive); n != 0 || gone(stray) {
		t.Errorf("of a process that lives %d commands were ended", n)
	}
	host.Process.Kill()
	host.Wait()
	if gone(stray) {
		t.Fatal("the stray ended by itself")
	}
	if n := process.EndLeftovers(notes, func(name string) bool { return name == "noted" }); n != 1 || !gone(stray) {
		t.Errorf("%d commands were ended; the stray is gone: %v", n, gone(stray))
	}
	if gone(daemon) {
		t.Error("what was left on purpose is ended")
	}
	if left, err := os.ReadDir(notes); err != nil || len(left) > 0 {
		t.Errorf("notes are left: %v %v", left, err)
	}
	if n := process.EndLeftovers(filepath.Join(dir, "none"), alive); n != 0 {
		t.Errorf("%d commands of nobody", n)
	}
}

// A command does not outlive us, even when we are killed.
func TestDiesWithUs(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("Linux only")
	}
	notes := t.TempDir()
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), "ROLE=host", "NOTES="+notes)
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	child := await(filepath.Join(notes, "plain"))
	host.Process.Kill()
	host.Wait()
	for range 400 {
		if gone(child) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	syscall.Kill(child, syscall.SIGKILL)
	t.Error("the command lives on")
}

func TestResults(t *testing.T) {
	sh := func(script string) process.Command {
		return process.Command{Argv: []string{"sh", "-c", script}, Env: process.Environ(), MaxOut: 100, Grace: grace}
	}
	t.Run("stdout, stderr, stdin, environment and code are kept apart", func(t *testing.T) {
		c := sh(`cat; echo $GREETING; echo oops >&2; exit 3`)
		c.Stdin, c.Env = []byte("in "), append(c.Env, "GREETING=hello")
		r, err := process.Run(t.Context(), c)
		if err != nil || string(r.Stdout) != "in hello\n" || string(r.Stderr) != "oops\n" || r.Code != 3 {
			t.Errorf("%+v %v", r, err)
		}
	})
	t.Run("a signal is named", func(t *testing.T) {
		if r, err := process.Run(t.Context(), sh(`kill -9 $$`)); err != nil || r.Signal != "killed" || r.Code != -1 {
			t.Errorf("%+v %v", r, err)
		}
	})
	t.Run("too much stdout ends it", func(t *testing.T) {
		r, err := process.Run(t.Context(), sh(`yes`))
		if !errors.Is(err, process.ErrOutput) || len(r.Stdout) != 100 {
			t.Errorf("%d bytes, %v", len(r.Stdout), err)
		}
		if r, err = process.Run(t.Context(), sh(`head -c 101 /dev/zero`)); !errors.Is(err, process.ErrOutput) || len(r.Stdout) != 100 {
			t.Errorf("%d bytes, %v", len(r.Stdout), err)
		}
	})
	t.Run("of stderr the end is kept", func(t *testing.T) {
		c := sh(`i=0; while [ $i -lt 300 ]; do echo line $i >&2; i=$((i+1)); done`)
		c.MaxErr = 20
		if r, _ := process.Run(t.Context(), c); !strings.HasSuffix(string(r.Stderr), "line 298\nline 299\n") || len(r.Stderr) != 20 {
			t.Errorf("%q", r.Stderr)
		}
	})
	t.Run("silence ends it, talk does not", func(t *testing.T) {
		c := sh(`sleep 60`)
		c.Idle = 100 * time.Millisecond
		if _, err := process.Run(t.Context(), c); !errors.Is(err, process.ErrIdle) {
			t.Error(err)
		}
		c = sh(`for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done`)
		c.Idle = time.Second
		if _, err := process.Run(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
	t.Run("a command or folder that is not there is said so", func(t *testing.T) {
		for _, argv := range [][]string{{"no-such-command-here"}, {"./no-such-file"}, {""}, nil} {
			if _, err := process.Run(t.Context(), process.Command{Argv: argv}); !errors.Is(err, process.ErrNotFound) {
				t.Errorf("%q: %v", argv, err)
			}
		}
		c := sh("true")
		c.Dir = "/no/such/folder"
		if _, err := process.Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "/no/such/folder") {
			t.Error(err)
		}
	})
	t.Run("a finished context starts nothing", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		cancel(why)
		file := filepath.Join(t.TempDir(), "made")
		if _, err := process.Run(ctx, sh("touch "+file)); !errors.Is(err, why) {
			t.Error(err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Error("it ran")
		}
	})
	t.Run("chunks are seen as they come", func(t *testing.T) {
		c := sh(`echo one; echo two`)
		var seen bytes.Buffer
		c.Out, c.MaxOut = func(b []byte) { seen.Write(b) }, 0
		if r, err := process.Run(t.Context(), c); err != nil || seen.String() != "one\ntwo\n" || len(r.Stdout) != 0 {
			t.Errorf("%q %+v %v", seen.String(), r, err)
		}
	})
}

func TestEnvironHandsOnNoKeys(t *testing.T) {
	t.Setenv("ANTHROPIC_API_KEY", "canary")
	t.Setenv("LC_ALL", "C")
	t.Setenv("GOFLAGS", "-x")
	env := strings.Join(process.Environ("GOFLAGS"), "\n")
	if strings.Contains(env, "canary") || !strings.Contains(env, "LC_ALL=C") || !strings.Contains(env, "GOFLAGS=-x") || !strings.Contains(env, "PATH=") {
		t.Error(env)
	}
}
