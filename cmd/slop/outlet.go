package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// outlet is standard output. It remembers the first write that failed: a value that did not arrive must not look like success.
type outlet struct {
	*os.File
	mu     sync.Mutex
	failed error
}

func (o *outlet) Write(p []byte) (int, error) {
	n, err := o.File.Write(p)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.failed == nil {
			o.failed = err
		}
	}
	return n, err
}

func (o *outlet) WriteString(s string) (int, error) { return o.Write([]byte(s)) }

// fault is the first write that failed.
func (o *outlet) fault() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}

// check turns a success whose output was lost into a failure. A reader that went away wanted no more, and is not told.
func (o *outlet) check(code int) (int, error) {
	err := o.fault()
	switch {
	case err == nil:
		return code, nil
	case errors.Is(err, syscall.EPIPE):
		if code == exitOK {
			code = exitFailed
		}
		return code, nil
	case code == exitOK:
		code = exitFailed
	}
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return code, fmt.Errorf("standard output cannot be written: %w", err)
}
