//go:build unix

package config

import (
	"os"
	"syscall"
)

// ownedByUser: the file is the user's and nobody outside their group can change it.
func ownedByUser(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o002 != 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}
