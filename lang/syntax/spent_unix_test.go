//go:build unix

package syntax_test

import (
	"syscall"
	"time"
)

// spent is the processor time of this process so far: what other processes do on the machine is not in it.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
