//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

// tty needs a pseudo-terminal, which is made here on Linux only.
func tty(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("begin the archive with: [!linux] skip")
}
