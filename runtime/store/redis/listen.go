package redis

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// hub listens to channels over one connection for everybody in this process who wants to hear of them.
type hub struct {
	client goredis.UniversalClient
	group  sync.WaitGroup
	mu     sync.Mutex
	ears   map[string]map[*ear]bool
	live   map[string]bool // channels that the server confirmed on this connection
	sub    *goredis.PubSub
	serves bool
	stop   context.CancelFunc
	closed bool
}

const (
	quietTime  = 30 * time.Second // after which the server is asked whether it is there
	answerTime = 10 * time.Second
	minRedial  = 50 * time.Millisecond
	maxRedial  = 2 * time.Second
)

// ear collects what one listener has yet to hear. Each text waits once, so a slow listener costs at most one entry a run.
type ear struct {
	hub     *hub
	channel string
	wake    chan struct{}
	over    chan struct{} // closed when the hub closes

	mu      sync.Mutex
	gap     bool // it has begun to listen, or something may have been missed
	waiting map[string]bool
	order   []string
}

// listen adds a listener. It first hears of a gap, as soon as the server confirms that it listens.
func (h *hub) listen(channel string) *ear {
	e := &ear{hub: h, channel: channel, wake: make(chan struct{}, 1), over: make(chan struct{}), waiting: map[string]bool{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(e.over)
		return e
	}
	if h.ears == nil {
		h.ears = map[string]map[*ear]bool{}
	}
	if h.ears[channel] == nil {
		h.ears[channel] = map[*ear]bool{}
	}
	h.ears[channel][e] = true
	if !h.serves {
		h.serves = true
		ctx, cancel := context.WithCancel(context.Background())
		h.stop = cancel
		h.group.Go(func() {
			defer cancel()
			h.serve(ctx)
		})
	}
	switch {
	case h.live[channel]:
		e.hear("", true)
	case h.sub != nil && len(h.ears[channel]) == 1:
		h.send(h.sub, func(ctx context.Context, sub *goredis.PubSub) { _ = sub.Subscribe(ctx, channel) })
	}
	return e
}

// send speaks to the server without holding anybody up. When it fails the connection is gone, and serve makes another for all channels.
func (h *hub) send(sub *goredis.PubSub, do func(context.Context, *goredis.PubSub)) {
	h.group.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		defer cancel()
		do(ctx, sub)
	})
}

func (e *ear) stop() {
	h := e.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.ears[e.channel], e)
	if len(h.ears[e.channel]) > 0 || h.ears[e.channel] == nil {
		return
	}
	delete(h.ears, e.channel)
	delete(h.live, e.channel)
	if h.sub != nil && !h.closed {
		h.send(h.sub, func(ctx context.Context, sub *goredis.PubSub) { h.unsubscribe(ctx, sub, e.channel) })
	}
}

func (h *hub) unsubscribe(ctx context.Context, sub *goredis.PubSub, channel string) {
	_ = sub.Unsubscribe(ctx, channel)
	h.mu.Lock()
	again := h.sub == sub && h.ears[channel] != nil // somebody came meanwhile
	h.mu.Unlock()
	if again {
		_ = sub.Subscribe(ctx, channel)
	}
}

// wait gives what there is to hear, as soon as there is something. ok is false when ctx has ended or the store was closed.
func (e *ear) wait(ctx context.Context) (gap bool, texts []string, ok bool) {
	select {
	case <-ctx.Done():
		return false, nil, false
	case <-e.over:
		return false, nil, false
	case <-e.wake:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	gap, texts = e.gap, e.order
	e.gap, e.order = false, nil
	clear(e.waiting)
	return gap, texts, true
}

// await waits for something to hear, but no longer than for patience. false: ctx has ended or the store was closed.
func (e *ear) await(ctx context.Context, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-e.over:
		return false
	case <-e.wake:
	case <-timer.C:
	}
	return true
}

func (e *ear) hear(text string, gap bool) {
	e.mu.Lock()
	switch {
	case gap:
		e.gap = true
	case !e.waiting[text]:
		e.waiting[text] = true
		e.order = append(e.order, text)
	}
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// serve keeps a connection that listens to all channels, until it breaks and nobody listens, or the hub closes.
func (h *hub) serve(ctx context.Context) {
	pause := minRedial
	for {
		h.mu.Lock()
		if ctx.Err() != nil || len(h.ears) == 0 {
			h.serves = false
			h.mu.Unlock()
			return
		}
		channels := slices.Collect(maps.Keys(h.ears))
		h.sub, h.live = h.client.Subscribe(ctx), map[string]bool{} // it dials when it is first used
		sub := h.sub
		h.mu.Unlock()
		if h.attend(ctx, sub, channels) {
			pause = minRedial
		}
		h.mu.Lock()
		h.sub, h.live = nil, nil
		h.mu.Unlock()
		_ = sub.Close()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxRedial)
	}
}

// attend listens over one connection until it breaks, and reports whether it was ever of use.
func (h *hub) attend(ctx context.Context, sub *goredis.PubSub, channels []string) (heard bool) {
	if err := sub.Subscribe(ctx, channels...); err != nil {
		return false
	}
	asked := false
	for {
		patience := quietTime
		if asked {
			patience = answerTime
		}
		msg, err := sub.ReceiveTimeout(ctx, patience)
		if err != nil {
			var late net.Error
			if !errors.As(err, &late) || !late.Timeout() || asked || ctx.Err() != nil || sub.Ping(ctx) != nil {
				return heard
			}
			asked = true
			continue
		}
		heard, asked = true, false
		switch m := msg.(type) {
		case *goredis.Subscription:
			h.mu.Lock()
			if m.Kind == "subscribe" && h.ears[m.Channel] != nil {
				h.live[m.Channel] = true
				h.tell(m.Channel, "", true)
			}
			h.mu.Unlock()
		case *goredis.Message:
			h.mu.Lock()
			h.tell(m.Channel, m.Payload, false)
			h.mu.Unlock()
		}
	}
}

func (h *hub) tell(channel, text string, gap bool) {
	for e := range h.ears[channel] {
		e.hear(text, gap)
	}
}

func (h *hub) close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		for _, ears := range h.ears {
			for e := range ears {
				close(e.over)
			}
		}
	}
	stop, sub := h.stop, h.sub
	h.mu.Unlock()
	if stop != nil {
		stop()
	}
	if sub != nil {
		_ = sub.Close() // ends the wait for a message
	}
	h.group.Wait()
}
