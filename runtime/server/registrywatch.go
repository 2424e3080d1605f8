package server

import (
	"context"
	"encoding/json"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
)

// agentPulse is how often it is looked what has become of agents.
const agentPulse = time.Second

// agentNews says that something has become of an agent.
type agentNews struct {
	Event  string       `json:"event"`
	Agent  string       `json:"agent"`
	At     time.Time    `json:"at"`
	Status agent.Status `json:"status,omitempty"`
	Reason string       `json:"reason,omitempty"`
}

// watchAgents notes how the agents are, once; do has the socket told what becomes of them.
func (k *socket) watchAgents(context.Context, *command) (any, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.follows != nil {
		return nil, problem("E_EXISTS", "you watch the agents already")
	}
	k.follows = k.agents()
	return nil, nil
}

// tellOfAgents compares how the agents are with how they were, so that it does not matter which server an admin spoke to.
func (k *socket) tellOfAgents() {
	clock := time.NewTicker(agentPulse)
	defer clock.Stop()
	was := k.follows
	for {
		select {
		case <-clock.C:
		case <-k.ctx.Done():
			return
		}
		now := k.agents()
		for name, a := range now {
			old, there := was[name]
			switch {
			case !there || old.RegisteredAt != nil && a.RegisteredAt != nil && !old.RegisteredAt.Equal(*a.RegisteredAt):
				k.tellOf("registered", a)
			case old.Enabled && !a.Enabled:
				k.tellOf("disabled", a)
			case !old.Enabled && a.Enabled:
				k.tellOf("enabled", a)
			case old.Status != a.Status:
				k.tellOf("status", a)
			}
		}
		for name := range was {
			if _, there := now[name]; !there {
				k.tellOf("unregistered", Agent{ID: name})
			}
		}
		was = now
	}
}

func (k *socket) agents() map[string]Agent {
	all := map[string]Agent{}
	for _, name := range k.server.config.Registry.Agents() {
		if a, ok := k.server.standing(k.ctx, name); ok {
			all[name] = a
		}
	}
	return all
}

func (k *socket) tellOf(what string, a Agent) {
	text, _ := json.Marshal(agentNews{"agent:registry:" + what, a.ID, time.Now().UTC(), a.Status, a.Reason}) // texts and a time
	_ = k.send(text)                                                                                         // the socket is closing
}
