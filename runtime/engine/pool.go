package engine

import "sync"

// maxIdle is how many workers wait for the next call. More than a machine has use for at once, few enough to cost nothing: a parked goroutine is some KiB.
const maxIdle = 64

// pool runs jobs on goroutines that are used again: a call rarely pays for a new stack. It has no upper bound of its own; limits are the engine's.
type pool struct {
	mu     sync.Mutex
	idle   []chan func() // the newest last, since its stack is warm
	closed bool
	group  sync.WaitGroup
}

// do runs job on some worker. It never blocks.
func (p *pool) do(job func()) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		w <- job
		return
	}
	p.group.Add(1)
	p.mu.Unlock()
	go p.work(job)
}

func (p *pool) work(job func()) {
	defer p.group.Done()
	var next chan func()
	for ok := true; ok; job, ok = <-next {
		job()
		if next == nil {
			next = make(chan func(), 1)
		}
		p.mu.Lock()
		if p.closed || len(p.idle) >= maxIdle {
			p.mu.Unlock()
			return
		}
		p.idle = append(p.idle, next)
		p.mu.Unlock()
	}
}

// close lets idle workers go and the busy ones after their job.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, w := range p.idle {
		close(w)
	}
	p.idle = nil
}
