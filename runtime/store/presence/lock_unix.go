//go:build unix

package presence

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock takes the lock of a file if nobody has it. It is that of the open file, so a second opening in the same process does not have it either.
func lock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
