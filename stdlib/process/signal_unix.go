//go:build unix

package process

import (
	"os"
	"syscall"
)

// signalName says which signal ended a process; "" when it exited.
func signalName(state *os.ProcessState) string {
	if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return w.Signal().String()
	}
	return ""
}
