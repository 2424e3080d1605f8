package mcp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/slopstudios/slop/runtime/agent"
)

// Examine starts the server, or connects to it, and lists its tools anew.
func (s *Server) Examine(ctx context.Context, say func(agent.Finding)) {
	for _, name := range s.config.variables() {
		if _, set := s.config.Getenv(name); set {
			continue
		}
		if slices.Contains(s.config.Env, name) { // a program may do without it
			say(agent.Finding{What: "variable", Said: name + " is not set"})
		} else {
			say(agent.Finding{What: "variable", Said: name + " is not set", Wrong: true, Mend: "export " + name + ", which slop.toml names under [mcp." + s.config.Name + "]"})
			return
		}
	}
	l, err := s.Learn(ctx)
	if err != nil {
		say(agent.Finding{What: "server", Said: err.Error(), Wrong: true, Mend: s.config.mend()})
		return
	}
	say(agent.Finding{What: "server", Said: l.String()})
	used := s.Signatures()
	tools := fmt.Sprintf("%d tools", len(l.Tools))
	if len(used) != len(l.Tools) {
		tools += fmt.Sprintf(", of which scripts may call %d", len(used))
	}
	say(agent.Finding{What: "tools", Said: tools})
}

func (c *Config) mend() string {
	if c.URL != "" {
		return "see whether the address in slop.toml is right: " + c.URL
	}
	return "try it by itself: " + strings.Join(c.Command, " ")
}

// String is the server's own name and version, and the revision of the protocol that it speaks.
func (l *Listing) String() string {
	name := strings.TrimSpace(l.Server + " " + l.Version)
	if name == "" {
		name = "a server without a name"
	}
	return name + ", protocol " + l.Protocol
}
