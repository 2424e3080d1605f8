//go:build unix

package config

import (
	"os"
	"syscall"
)

// ownedByUser: the user wrote the file, and the link to it where there is one, and not everybody can change it.
func ownedByUser(path string) bool {
	link, err := os.Lstat(path)
	if err != nil || !own(link) {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && own(info) && info.Mode().IsRegular() && info.Mode().Perm()&0o002 == 0
}

func own(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}
