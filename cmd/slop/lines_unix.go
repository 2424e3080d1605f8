//go:build unix

package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// readable reports whether a read of f would return within the time.
func readable(f *os.File, within time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(within.Milliseconds()))
	return err == nil && n > 0
}
