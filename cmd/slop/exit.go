package main

import "fmt"

// The exit codes, as `slop help exit-codes` lists them.
const (
	exitOK          = 0
	exitFailed      = 1 // the run or a test failed
	exitUsage       = 2
	exitScript      = 3 // the script has errors, or is not formatted
	exitAuth        = 4
	exitBudget      = 5
	exitWaiting     = 6 // a person is needed and there is none
	exitUnreachable = 7
	exitTimeout     = 124
	exitInterrupted = 130
)

// exit ends the process with code. err is printed when it is set; nil when all has been said.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &exit{exitUsage, fmt.Errorf(format, args...)} }
