package main

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/stdlib/process"
)

// host is the engine of this process and the secrets its runs may show by accident.
type host struct {
	engine  *engine.Engine
	store   store.Store
	project *project // its MCP servers end with it
	state   *state   // nil: runs live in memory, as long as the process
	witness *witness // of a run that is kept
	secrets []string // value, what stands for it, value …
	left    bool     // nobody waits for it any more
	scratch string   // where runs that are not kept have their working folders; it ends with them
}

// newHost starts an engine whose runs live in memory, as long as the process.
func newHost(pr *project, log io.Writer) *host {
	h := &host{project: pr, store: memory.New(), scratch: filepath.Join(os.TempDir(), "slop-"+rand.Text())}
	pr.work = h.scratch
	h.engine = engine.New(engine.Config{Store: h.store, Registry: pr.registry, Secrets: pr.secret, Folder: here(), Log: h.logger(log)})
	return h
}

// storedHost starts an engine whose runs are kept in the state folder.
func storedHost(pr *project, st *state, log io.Writer) *host {
	h := &host{project: pr, store: st.store, state: st, witness: newWitness(st.store)}
	pr.work = st.work()
	h.engine = engine.New(engine.Config{
		Store: h.witness, Registry: pr.registry, Secrets: pr.secret, Owner: st.self.Name, Lease: st.lease, Forgets: st.forgets, Folder: here(), Log: h.logger(log),
		Leftovers: st.endLeftovers,
		Linger:    types.MaxDuration, // this process is there for its run, also when that waits
	})
	return h
}

// leave ends the work of this process on a run that is kept: what changes the world has a while to end by itself.
func (h *host) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), engine.DefaultGrace)
	defer cancel()
	_ = h.engine.Part(ctx) // what is stored is stored
	_ = h.engine.Close(context.Background())
	h.project.close()
}

// here is the folder that agents work in.
func here() string {
	folder, err := os.Getwd()
	if err != nil {
		return "" // the folder is gone: agents find out when they need one
	}
	return folder
}

// know learns the values of secrets.
func (h *host) know(pr *project, names []string) {
	for _, name := range names {
		if value, err := pr.secret(name); err == nil && len(value) >= agent.MinSecret {
			for _, form := range agent.Forms(value) {
				h.secrets = append(h.secrets, form, "‹secret "+name+"›")
			}
		}
	}
}

// redact blacks out secrets in what is shown, as the engine does in what it stores.
func (h *host) redact(text string) string {
	if len(h.secrets) == 0 {
		return text
	}
	return strings.NewReplacer(h.secrets...).Replace(text)
}

// close waits for the end of everything under way. A run that is kept stays where it is, for `slop resume`.
func (h *host) close() {
	if !h.left {
		_ = h.engine.Close(context.Background()) // what is stored is stored
		h.project.close()
	}
	if h.state != nil {
		h.state.close()
	}
	if h.scratch != "" {
		_ = removeAll(h.scratch) // most often nothing is there
	}
}

// abandonTime is how long the end of what is under way may take when the person does not want to wait.
const abandonTime = 2 * time.Second

// abandon ends what is under way the hard way, commands and all they started included.
func (h *host) abandon() {
	h.left = true
	process.Hurry()
	ctx, cancel := context.WithTimeout(context.Background(), abandonTime)
	defer cancel()
	_ = h.engine.Close(ctx)
	h.project.close()
}
