//go:build unix

package main

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// readyFD is where the pipe of spawn is in the new process.
const readyFD = 3

// spawn starts slop once more, in a session of its own, so that no terminal and no signal meant for this process reaches it.
func spawn(log, ready *os.File, env []string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(append(os.Environ(), env...), readyVar+"="+strconv.Itoa(readyFD))
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{ready}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// keepReady sees to it that commands that this process starts do not get its pipe.
func keepReady() {
	if os.Getenv(readyVar) != "" {
		syscall.CloseOnExec(readyFD)
	}
}

// announce says that this process is at work.
func announce() {
	if os.Getenv(readyVar) == "" {
		return
	}
	_ = os.Unsetenv(readyVar)
	f := os.NewFile(readyFD, "ready")
	_, _ = f.WriteString("at work\n") // whoever waited may be gone
	_ = f.Close()
}
