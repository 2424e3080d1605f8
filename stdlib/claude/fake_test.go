//go:build unix

package claude_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play the claude program, and what it leaves behind.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("FAKE_STRAY") != "":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
		os.WriteFile(os.Getenv("FAKE_STRAY"), []byte(strconv.Itoa(os.Getpid())), 0o600)
		time.Sleep(time.Minute)
	case os.Getenv("FAKE_CLAUDE") != "":
		os.Exit(fakeClaude(os.Getenv("FAKE_CLAUDE")))
	default:
		os.Exit(m.Run())
	}
}

// seen is what the fake was given.
type seen struct {
	Args, Env, Files    []string
	Stdin, Dir, Persona string
	Settings            string
}

// fakeClaude plays a script, one instruction a line, after it has written down what it was given. Asked for its version or its login it plays the script of that
// name; its second run plays script2, where there is one.
//
//	out LINE · split LINE (byte by byte) · raw TEXT (no newline) · err LINE · big N (a result of N bytes) · many N (events)
//	deaf (to SIGTERM) · stray (a grandchild in its own session, deaf, holding stdout) · hang · exit N · die
func fakeClaude(dir string) int {
	stdin, _ := io.ReadAll(os.Stdin)
	work, _ := os.Getwd()
	s := seen{Args: os.Args[1:], Env: os.Environ(), Stdin: string(stdin), Dir: work}
	entries, _ := os.ReadDir(".")
	for _, e := range entries {
		s.Files = append(s.Files, e.Name())
	}
	for _, arg := range os.Args {
		if _, file, ok := strings.Cut(arg, "system-prompt-file="); ok {
			text, _ := os.ReadFile(file)
			s.Persona = string(text)
		}
		if file, ok := strings.CutPrefix(arg, "--settings=/"); ok {
			text, _ := os.ReadFile("/" + file)
			s.Settings = string(text)
		}
	}
	name := "script"
	switch s.Args[0] {
	case "--version":
		name = "version"
	case "auth":
		name = "auth"
	default:
		data, _ := json.Marshal(s)
		for n := 1; ; n++ {
			f, err := os.OpenFile(filepath.Join(dir, "seen"+numbered(n)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				continue
			}
			f.Write(data)
			f.Close()
			if _, err := os.Stat(filepath.Join(dir, "script"+numbered(n))); err == nil {
				name += numbered(n)
			}
			break
		}
	}
	script, err := os.Open(filepath.Join(dir, name))
	if err != nil && name == "version" {
		fmt.Println("2.1.197 (Claude Code)")
		return 0
	}
	if err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(script)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.Atoi(rest)
		switch word {
		case "out":
			fmt.Println(rest)
		case "raw":
			fmt.Print(rest)
		case "split":
			for i := range len(rest) {
				os.Stdout.Write([]byte{rest[i]})
			}
			fmt.Println()
		case "err":
			fmt.Fprintln(os.Stderr, rest)
		case "big":
			fmt.Printf(`{"type":"result","subtype":"success","is_error":false,"result":%q}`+"\n", strings.Repeat("x", n))
		case "many":
			for i := range n {
				fmt.Printf(`{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"%d,"}}}`+"\n", i)
			}
		case "deaf":
			signal.Ignore(syscall.SIGTERM)
		case "stray":
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "FAKE_STRAY="+filepath.Join(dir, "stray"))
			cmd.Stdout = os.Stdout
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := cmd.Start(); err != nil {
				panic(err)
			}
			for {
				if text, _ := os.ReadFile(filepath.Join(dir, "stray")); len(text) > 0 {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
		case "hang":
			time.Sleep(time.Minute)
		case "exit":
			return n
		case "die":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(time.Second)
		}
	}
	return 0
}

// program makes a claude program that plays script, and gives its path and the folder in which it writes down what it was given.
func program(t *testing.T, script ...string) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "script"), []byte(strings.Join(script, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "claude")
	wrapper := fmt.Sprintf("#!/bin/sh\nFAKE_CLAUDE='%s' exec '%s' \"$@\"\n", dir, os.Args[0])
	// Another process writes the program: a file that this one holds open for writing could be inherited by a call that starts at the same moment
	// in a parallel test, and would then be too busy to run.
	write := exec.Command("sh", "-c", `cat >"$0" && chmod 700 "$0"`, path)
	write.Stdin = strings.NewReader(wrapper)
	if err := write.Run(); err != nil {
		t.Fatal(err)
	}
	return path, dir
}

// numbered is nothing for the first.
func numbered(n int) string {
	if n == 1 {
		return ""
	}
	return strconv.Itoa(n)
}

// also gives a fake another script: script2, script3, version, auth.
func also(t *testing.T, dir, name string, script ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(script, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// given is what the fake was given in its first run.
func given(t *testing.T, dir string) seen {
	t.Helper()
	return givenAt(t, dir, 1)
}

func givenAt(t *testing.T, dir string, n int) seen {
	t.Helper()
	var s seen
	data, err := os.ReadFile(filepath.Join(dir, "seen"+numbered(n)))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}
