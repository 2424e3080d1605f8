package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes: a session of its own, and an end with us even when we are killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// tree is a root and everything that descends from it. Its members are looked up each time.
type tree struct {
	root  int
	born  uint64 // the root's time of birth, in clock ticks since boot
	token []byte // in the environment of every member
	seen  map[int]uint64
}

// stat is what /proc/PID/stat says of a process.
type stat struct {
	pid, parent, group, session int
	state                       byte
	born                        uint64
}

func newTree(pid int, token string) *tree {
	t := strays(token)
	t.root = pid
	if s, err := readStat(pid); err == nil {
		t.born = s.born
		t.seen[pid] = s.born
	}
	return t
}

// strays is a tree whose root is gone, and of which nothing is known but what its members carry.
func strays(token string) *tree { return &tree{root: -1, token: []byte(token), seen: map[int]uint64{}} }

func (t *tree) terminate()  { t.signal(unix.SIGTERM) }
func (t *tree) kill()       { t.signal(unix.SIGKILL) }
func (t *tree) alive() bool { return len(t.members()) > 0 }

// signal reaches every member that is alive now.
func (t *tree) signal(sig unix.Signal) {
	for _, m := range t.members() {
		signalExactly(m, sig)
	}
}

// members looks for the living processes of the tree. A process once seen stays a member, whatever it does to its parents and its session.
func (t *tree) members() []stat {
	all := readAll()
	found := map[int]bool{}
	for _, s := range all {
		found[s.pid] = t.belongs(s)
	}
	for grown := true; grown; { // children of members are members
		grown = false
		for _, s := range all {
			if !found[s.pid] && found[s.parent] && s.born >= t.born {
				found[s.pid], grown = true, true
			}
		}
	}
	var members []stat
	for _, s := range all {
		if found[s.pid] {
			t.seen[s.pid] = s.born
			if s.state != 'Z' && s.state != 'X' {
				members = append(members, s)
			}
		}
	}
	return members
}

func (t *tree) belongs(s stat) bool {
	if born, ok := t.seen[s.pid]; ok && born == s.born {
		return true
	}
	if s.born < t.born || s.pid == os.Getpid() {
		return false
	}
	if s.session == t.root || s.group == t.root {
		return true
	}
	return s.state != 'Z' && t.marked(s.pid)
}

// marked reports whether the environment a process was started with carries our token.
func (t *tree) marked(pid int) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(mark+"=")); ok && bytes.Contains(value, t.token) {
			return true
		}
	}
	return false
}

// signalExactly signals the process that s describes and no other that has come to its number.
func signalExactly(s stat, sig unix.Signal) {
	fd, err := unix.PidfdOpen(s.pid, 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // an old kernel, or a sandbox
		if now, err := readStat(s.pid); err == nil && now.born == s.born {
			unix.Kill(s.pid, sig)
		}
		return
	}
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if now, err := readStat(s.pid); err == nil && now.born == s.born {
		unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}

func readAll() []stat {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var all []stat
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if s, err := readStat(pid); err == nil {
				all = append(all, s)
			}
		}
	}
	return all
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	// The second field is the name in parentheses and may hold anything; field 3 stands after the last one.
	i := bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[i+1:]))
	if i < 0 || len(fields) < 20 {
		return stat{}, fmt.Errorf("/proc/%d/stat is not what we know", pid)
	}
	s := stat{pid: pid, state: fields[0][0]}
	s.parent, _ = strconv.Atoi(fields[1])
	s.group, _ = strconv.Atoi(fields[2])
	s.session, _ = strconv.Atoi(fields[3])
	s.born, err = strconv.ParseUint(fields[19], 10, 64)
	return s, err
}
