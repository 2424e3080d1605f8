package main

import (
	"os"

	"golang.org/x/term"

	"github.com/slopstudios/slop/cmd/slop/config"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
)

// console is the outside of the process: its streams and what is known of them.
type console struct {
	in, err     *os.File
	out         *outlet
	asks        bool // a person reads err and can answer on in
	live        bool // err is a terminal that can be redrawn
	outTerminal bool
	style       screen.Style // of err
	outStyle    screen.Style
	errTerminal bool
	flagColor   string
}

func newConsole() *console {
	c := &console{in: os.Stdin, out: &outlet{File: os.Stdout}, err: os.Stderr}
	c.errTerminal = term.IsTerminal(int(c.err.Fd()))
	c.outTerminal = term.IsTerminal(int(c.out.Fd()))
	ci := os.Getenv("CI") != "" && os.Getenv("CI") != "0" && os.Getenv("CI") != "false"
	c.asks = c.errTerminal && term.IsTerminal(int(c.in.Fd())) && !ci
	c.live = c.errTerminal && !ci && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != ""
	c.decideColor("")
	return c
}

// decideColor follows the flag, then the environment, then whether a terminal reads.
func (c *console) decideColor(flag string) {
	c.flagColor = flag
	decide := func(terminal bool) screen.Style {
		switch flag {
		case "auto":
			return screen.Style{On: terminal && os.Getenv("TERM") != "dumb"}
		case "always":
			return screen.Style{On: true}
		case "never":
			return screen.Style{}
		}
		force := os.Getenv("CLICOLOR_FORCE")
		switch {
		case os.Getenv("NO_COLOR") != "":
			return screen.Style{}
		case force != "" && force != "0":
			return screen.Style{On: true}
		case os.Getenv("CLICOLOR") == "0" || os.Getenv("TERM") == "dumb":
			return screen.Style{}
		}
		return screen.Style{On: terminal}
	}
	c.style, c.outStyle = decide(c.errTerminal), decide(c.outTerminal)
}

// configured is slop.toml's word on colour, which counts when flag and environment say nothing.
func (c *console) configured(color string) {
	if c.flagColor != "" || os.Getenv("NO_COLOR") != "" || os.Getenv("CLICOLOR") != "" || os.Getenv("CLICOLOR_FORCE") != "" {
		return
	}
	c.decideColor(color)
}

// width of the terminal in columns.
func (c *console) width() int {
	if w, _, err := term.GetSize(int(c.err.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}

func (c *console) height() int {
	if _, h, err := term.GetSize(int(c.err.Fd())); err == nil && h > 0 {
		return h
	}
	return 24
}

func (c *console) drawConfigError(e *config.Error) {
	diag.Print(c.err, diag.List{{
		Code: "config", Severity: diag.Error, File: e.File, Span: e.Span, Message: e.Message, Label: e.Label, Help: e.Help,
	}}, c.style.On)
}
