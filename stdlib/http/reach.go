package http

import (
	"net/url"
	"strings"

	"github.com/slopstudios/slop/runtime/agent"
)

// Reaches names the host of a call: that one host is down says nothing about another (agent.Reacher).
func (c *client) Reaches(call *agent.Call) string {
	text := call.Text
	if text == nil {
		text = call.Args["url"]
	}
	address, _ := text.(string) // a secret may stand in the path: then nothing is known
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}
