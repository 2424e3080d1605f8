//go:build unix && !linux

package process

import "syscall"

// attributes: a session, hence a process group, of its own.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// tree is the process group of the root. What left the group is out of reach.
type tree struct{ root int }

func newTree(pid int, _ string) *tree { return &tree{root: pid} }

// strays is nothing: here nobody can tell what a process carries.
func strays(string) *tree { return &tree{} }

func (t *tree) terminate()  { syscall.Kill(-t.root, syscall.SIGTERM) }
func (t *tree) kill()       { syscall.Kill(-t.root, syscall.SIGKILL) }
func (t *tree) alive() bool { return t.root != 0 && syscall.Kill(-t.root, 0) == nil }
