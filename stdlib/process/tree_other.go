//go:build !unix

package process

import (
	"os"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return nil }

// tree is the root alone: this system has no process groups that we know how to end.
type tree struct{ root *os.Process }

func newTree(pid int, _ string) *tree {
	p, _ := os.FindProcess(pid)
	return &tree{root: p}
}

// strays is nothing: here nobody can tell what a process carries.
func strays(string) *tree { return &tree{} }

func (t *tree) terminate() { t.kill() }

func (t *tree) kill() {
	if t.root != nil {
		t.root.Kill()
	}
}

func (t *tree) alive() bool { return false }
