package server

import (
	"maps"
	"slices"
)

// Commands are what can be said on a socket.
func Commands() []string { return slices.Sorted(maps.Keys(commands)) }
