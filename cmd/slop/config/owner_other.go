//go:build !unix

package config

// ownedByUser cannot be told here: such a file is asked about.
func ownedByUser(string) bool { return false }
