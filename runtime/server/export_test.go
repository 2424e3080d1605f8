package server

import (
	"maps"
	"slices"

	"github.com/slopstudios/slop/runtime/server/auth"
)

// Commands are what can be said on a socket.
func Commands() []string { return slices.Sorted(maps.Keys(commands)) }

// Codes are those that a problem can have.
func Codes() []string { return slices.Sorted(maps.Keys(titles)) }

// Route is a row of the table of what can be asked.
type Route struct {
	Method, Path, ID string
	Role             auth.Role
	Changes          bool
}

// Routes are all that can be asked.
func (s *Server) Routes() []Route {
	var all []Route
	for _, r := range s.routes {
		all = append(all, Route{r.method, r.path, r.id, r.role, r.changes()})
	}
	return all
}

// CommandRole is the least role that may say a command.
func CommandRole(name string) auth.Role { return commands[name].role }

// Streams counts the sockets that are open.
func (s *Server) Streams() int { return int(s.sockets.Load()) }
