package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// openPTY gives both ends of a new terminal.
func openPTY() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100}); err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	return master, slave, err
}

// tty types one line of the input file each time the program waits for one: when it has been silent after writing. ^C in the file is Ctrl-C, typed a
// while after the last, whatever the program writes.
func tty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: tty CODE INPUT COMMAND…")
	}
	master, slave, err := openPTY()
	ts.Check(err)
	defer func() { _ = master.Close() }()
	cmd := exec.Command(args[2], args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "SLOP_HOME", "SLOP_STATE", "TERM", "MODEL", "DEAD", "WORK", "TMPDIR", "CI", "NO_COLOR", "GOCOVERDIR"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	_ = slave.Close()

	var mu sync.Mutex
	var shown bytes.Buffer
	wrote := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		chunk := make([]byte, 4096)
		for {
			n, err := master.Read(chunk)
			mu.Lock()
			shown.Write(chunk[:n])
			mu.Unlock()
			if err != nil {
				return
			}
			select {
			case wrote <- struct{}{}:
			default:
			}
		}
	}()
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile(args[1]), "\n"), "\n")
	show := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.ReplaceAll(shown.String(), "\r\n", "\n")
	}
	const patience = time.Second // before Ctrl-C, so that there is something under way
	deadline := time.After(20 * time.Second)
	typed := time.Now()
	for {
		silent := time.NewTimer(300 * time.Millisecond)
		due := false
		select {
		case <-wrote:
			due = len(lines) > 0 && lines[0] == "^C" && time.Since(typed) > patience
		case <-ended:
			_, _ = ts.Stdout().Write([]byte(show()))
			checkCode(ts, args[0], cmd.Wait())
			return
		case <-deadline:
			_ = cmd.Process.Kill()
			text := show()
			ts.Fatalf("the program does not end; it showed at last:\n%s", text[max(0, len(text)-2000):])
		case <-silent.C:
			due = show() != "" && len(lines) > 0 && lines[0] != "" && (lines[0] != "^C" || time.Since(typed) > patience)
		}
		silent.Stop()
		if !due {
			continue
		}
		text := lines[0] + "\n"
		if lines[0] == "^C" {
			text = "\x03"
		}
		lines, typed = lines[1:], time.Now()
		_, err := master.WriteString(text)
		ts.Check(err)
	}
}
