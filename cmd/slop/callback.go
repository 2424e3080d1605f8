package main

import (
	"context"
	"time"

	"github.com/slopstudios/slop/runtime/roster"
	"github.com/slopstudios/slop/stdlib/http"
	"github.com/slopstudios/slop/stdlib/remote"
)

// greetTime is how long an agent that is registered may take to say what it can do.
const greetTime = 10 * time.Second

// callback makes an agent of what was registered at a server. It reaches what `http` does there: the internet only, unless slop.toml says otherwise.
func (p *project) callback(ctx context.Context, name string, c *roster.Callback) (roster.Made, error) {
	networks := http.Public
	if a, ok := p.config.Agents["http"]; ok && a.Private != nil && *a.Private {
		networks = http.Any
	}
	to := remote.Callback{Name: name, URL: c.URL, Transport: http.Transport(networks)}
	if c.Secret != "" {
		if _, err := p.secret(c.Secret); err != nil && c.Hello == nil {
			return roster.Made{}, err
		}
		to.Token = func() (string, error) { return p.secret(c.Secret) }
	}
	a := remote.NewCallback(to)
	if c.Hello != nil {
		d, err := remote.Parse(c.Hello)
		if err != nil {
			return roster.Made{}, err
		}
		a.Known(d)
	} else {
		ctx, cancel := context.WithTimeout(ctx, greetTime)
		defer cancel()
		d, err := a.Describe(ctx)
		if err != nil {
			_ = a.Close()
			return roster.Made{}, err
		}
		c.Hello = d.Raw()
	}
	return roster.Made{Agent: a, Limit: a.Concurrency(), End: func(why string) { _ = a.Dismiss(why) }}, nil
}
