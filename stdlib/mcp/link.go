package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// link is a living connection.
type link struct {
	config  *Config
	session *sdk.ClientSession
	program *program // nil: an address
	known   atomic.Pointer[known]
	stale   chan struct{} // the server says that its tools are others now
	began   time.Time
	ended   chan struct{} // closed when the connection is gone
	broken  atomic.Bool   // it will be
	age     atomic.Int64  // it had reached when it was

	tokens atomic.Int64 // of progress

	mu      sync.Mutex
	flights map[int64]*flight // calls under way, by their progress token
	asking  int               // elicitations whose call is looked for
	changed chan struct{}     // closed and made anew whenever one of the two changes
}

// known is what a server offers.
type known struct {
	listing *Listing
	tools   map[string]*tool // by their own names
}

// flight is a call under way.
type flight struct {
	emit   func(agent.Progress)
	cancel context.CancelCauseFunc
	told   *token            // what people said before
	asked  *sdk.ElicitParams // what it ended with
	mixed  bool              // it cannot be told whether it was this call that asked
}

// legacy is the last revision with a handshake.
const legacy = "2025-11-25"

// modern is the first one without.
const modern = "2026-07-28"

// open connects and lists the tools. A program that does not answer to the question of the newest revision is started again and asked as in the older ones.
// changed hears of listings that come later, from a goroutine that ends with the connection.
func (c *Config) open(known *Listing, changed func(*Listing)) (*link, error) {
	l, err := c.meet(known)
	if err == nil {
		go l.hear(changed)
	}
	return l, err
}

func (c *Config) meet(known *Listing) (*link, error) {
	if len(c.Command) > 0 && c.Transport == nil {
		if err := c.installed(); err != nil {
			return nil, &unreachable{message: err.Error()}
		}
	}
	if known != nil && known.Protocol != "" && known.Protocol < modern {
		return c.dial(legacy, c.Start, true)
	}
	l, err := c.dial(modern, c.Start, true)
	if err != nil && strings.Contains(err.Error(), "subscriptions/listen") { // it says that it tells of changes, and does not
		l, err = c.dial(modern, c.Start, false)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		if again, err := c.dial(legacy, c.Start, true); err == nil {
			return again, nil
		}
	}
	return l, err
}

// dial connects. hears says whether the server is to tell when its tools change.
func (c *Config) dial(revision string, within time.Duration, hears bool) (*link, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	ctx, status := watched(ctx)
	l := &link{config: c, flights: map[int64]*flight{}, changed: make(chan struct{}), stale: make(chan struct{}, 1), began: time.Now(), ended: make(chan struct{})}
	options := &sdk.ClientOptions{
		Logger:                      slog.New(slog.NewTextHandler(io.Discard, nil)),
		Capabilities:                &sdk.ClientCapabilities{Elicitation: &sdk.ElicitationCapabilities{Form: &sdk.FormElicitationCapabilities{}, URL: &sdk.URLElicitationCapabilities{}}},
		ElicitationHandler:          l.elicit,
		ProgressNotificationHandler: l.progress,
		MultiRoundTrip:              &sdk.MultiRoundTripOptions{Disabled: true},
	}
	if hears {
		options.ToolListChangedHandler = func(context.Context, *sdk.ToolListChangedRequest) {
			select {
			case l.stale <- struct{}{}:
			default: // it is to be listed anew already
			}
		}
	}
	client := sdk.NewClient(&sdk.Implementation{Name: "slop", Version: cmp.Or(c.Version, "dev")}, options)
	transport, err := c.transport(l)
	if err != nil {
		return nil, &unreachable{message: err.Error()}
	}
	fail := func(err error) (*link, error) {
		if session := l.session; session != nil {
			go func() { _ = session.Close() }() // a server that is gone may take its time to be so
		}
		message, late := err.Error(), errors.Is(err, context.DeadlineExceeded)
		if late {
			message = fmt.Sprintf("it did not answer within %s", within)
		}
		if l.program != nil {
			l.program.stop(0)
			if why := l.program.end(); why != "" && !late {
				message = why
			}
			message += l.program.where()
		}
		if text, result := status.outcome(); result != "" {
			return nil, &unreachable{message: text, outcome: result, after: status.after()}
		}
		return nil, &unreachable{message: clip(message, 1000), late: late}
	}
	type connection struct {
		session *sdk.ClientSession
		err     error
	}
	connected := make(chan connection, 1)
	go func() { // the library does not always look at the context
		session, err := client.Connect(ctx, transport, &sdk.ClientSessionOptions{ProtocolVersion: revision})
		connected <- connection{session, err}
	}()
	select {
	case c := <-connected:
		if c.err != nil {
			return fail(c.err)
		}
		l.session = c.session
	case <-ctx.Done():
		go func() {
			if c := <-connected; c.err == nil {
				_ = c.session.Close()
			}
		}()
		return fail(ctx.Err())
	}
	first, err := l.list(ctx)
	if err != nil {
		return fail(err)
	}
	l.known.Store(first)
	go func() {
		_ = l.session.Wait()
		l.age.CompareAndSwap(0, int64(time.Since(l.began)))
		if l.program != nil {
			l.program.stop(0)
		}
		close(l.ended)
	}()
	c.save(first.listing)
	return l, nil
}

// restBetween is how long a server that says again and again that its tools changed is not asked for them.
const restBetween = time.Second

// hear lists the tools anew whenever the server says that they changed, for as long as the connection lives. What cannot be listed stays as it was: the next
// connection finds out.
func (l *link) hear(changed func(*Listing)) {
	for {
		select {
		case <-l.stale:
		case <-l.ended:
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), l.config.Start)
		now, err := l.list(ctx)
		cancel()
		if err == nil && !reflect.DeepEqual(now.listing, l.known.Load().listing) {
			l.known.Store(now)
			l.config.save(now.listing)
			changed(now.listing)
		}
		rest := time.NewTimer(restBetween)
		select {
		case <-rest.C:
		case <-l.ended:
			rest.Stop()
			return
		}
	}
}

// list asks for the tools.
func (l *link) list(ctx context.Context) (*known, error) {
	out := &known{listing: &Listing{}, tools: map[string]*tool{}}
	if r := l.session.InitializeResult(); r != nil {
		out.listing.Protocol = r.ProtocolVersion
		if r.ServerInfo != nil {
			out.listing.Server, out.listing.Version = clip(r.ServerInfo.Name, 200), clip(r.ServerInfo.Version, 200)
		}
		if r.Capabilities == nil || r.Capabilities.Tools == nil {
			return out, nil // it has none, and may not know the question
		}
	}
	for t, err := range l.session.Tools(ctx, nil) {
		if err != nil {
			return nil, fmt.Errorf("it does not list its tools: %w", err)
		}
		if len(out.listing.Tools) > maxTools {
			break // sound says so
		}
		taken, err := newTool(t)
		if err != nil {
			return nil, err
		}
		out.listing.Tools = append(out.listing.Tools, taken)
	}
	slices.SortStableFunc(out.listing.Tools, func(a, b Tool) int { return strings.Compare(a.Name, b.Name) })
	out.listing.Tools = slices.CompactFunc(out.listing.Tools, func(a, b Tool) bool { return a.Name == b.Name })
	if err := out.listing.sound(); err != nil {
		return nil, err
	}
	for _, t := range l.config.tools(out.listing) {
		out.tools[t.Name] = t
	}
	return out, nil
}

func (l *link) dead() bool {
	select {
	case <-l.ended:
		return true
	default:
		return l.broken.Load()
	}
}

// spoil gives the connection up: the next call makes a new one.
func (l *link) spoil() {
	if !l.broken.CompareAndSwap(false, true) {
		return
	}
	l.age.CompareAndSwap(0, int64(time.Since(l.began)))
	go func() {
		if l.program != nil {
			l.program.stop(0)
		}
		_ = l.session.Close()
	}()
}

// lived is how long the connection served, when it is over.
func (l *link) lived() time.Duration { return time.Duration(l.age.Load()) }

// politeness is how long a program has to end by itself when its standard input has ended.
const politeness = 2 * time.Second

// close ends the connection, and the program with all it started.
func (l *link) close() {
	if l.program == nil {
		_ = l.session.Close()
		return
	}
	l.program.stop(politeness)
	_ = l.session.Close()
}

func (l *link) ping(ctx context.Context) error {
	if l.known.Load().listing.Protocol >= modern {
		return nil // these have no ping; each request stands alone
	}
	return l.session.Ping(ctx, nil)
}

// call calls a tool.
func (l *link) call(ctx context.Context, t *tool, args map[string]any, told *token, emit func(agent.Progress)) agent.Reply {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, status := watched(ctx)
	f := &flight{emit: emit, cancel: cancel, told: told}
	id, err := l.enter(ctx, f)
	if err != nil {
		return l.failed(ctx, err, status)
	}
	defer l.leave(id)
	params := &sdk.CallToolParams{Name: t.Name, Arguments: args, InputResponses: told.responses(), RequestState: told.State}
	params.SetProgressToken(id)
	type answer struct {
		result *sdk.CallToolResult
		err    error
	}
	done := make(chan answer, 1)
	go func() { // the library waits for the server to take a message, however long that takes
		r, err := l.session.CallTool(ctx, params)
		done <- answer{r, err}
	}()
	var a answer
	select {
	case a = <-done:
	case <-ctx.Done():
		select {
		case a = <-done:
		case <-time.After(patience):
			a.err = context.Cause(ctx)
		}
	}
	l.mu.Lock()
	asked, mixed := f.asked, f.mixed
	l.mu.Unlock()
	switch {
	case mixed:
		return agent.Fail(run.Failure, fmt.Sprintf("several calls of the MCP server %s asked something at the same time, and it does not say which asked what: set limit = 1 under [mcp.%s]", l.config.Name, l.config.Name))
	case asked != nil:
		told.wants(asked)
		return told.ask(l.config.Name)
	case a.err != nil:
		return l.failed(ctx, a.err, status)
	case a.result.NeedsInput():
		return told.needs(a.result, l.config.Name)
	}
	return t.reply(a.result)
}

// patience is how long a call that was told to end has to say what came of it.
const patience = 500 * time.Millisecond

// failed makes the reply of a call without an answer.
func (l *link) failed(ctx context.Context, err error, status *statuses) agent.Reply {
	if errors.Is(context.Cause(ctx), errTool) {
		return agent.Fail(run.Timeout, fmt.Sprintf("no answer within %s: timeout under [mcp.%s] in slop.toml allows more", l.config.Timeout, l.config.Name))
	}
	if r, ended := outcome.Ended(ctx); ended {
		return r
	}
	if text, result := status.outcome(); result != "" {
		l.spoil() // the library ends a connection that was refused something
		r := agent.Fail(result, text)
		r.RetryAfter = status.after()
		return r
	}
	var wire *jsonrpc.Error
	if errors.As(err, &wire) {
		return agent.Fail(run.Failure, fmt.Sprintf("the MCP server %s answered: %s (%d)", l.config.Name, clip(wire.Message, 2000), wire.Code))
	}
	select {
	case <-l.ended:
	case <-time.After(patience):
		if !errors.Is(err, sdk.ErrConnectionClosed) {
			return agent.Fail(run.Failure, fmt.Sprintf("the MCP server %s answered what is not the protocol: %s", l.config.Name, clip(err.Error(), 500)))
		}
	}
	l.spoil()
	message := fmt.Sprintf("the connection to the MCP server %s broke: %s", l.config.Name, clip(err.Error(), 500))
	if l.program != nil {
		if why := l.program.end(); why != "" {
			message = fmt.Sprintf("the MCP server %s ended in the midst of the call: %s", l.config.Name, why)
		}
		message += l.program.where()
	}
	return agent.Fail(run.Unavailable, message)
}

// progress shows news of a call.
func (l *link) progress(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
	id, ok := r.Params.ProgressToken.(float64)
	l.mu.Lock()
	f := l.flights[int64(id)]
	l.mu.Unlock()
	if !ok || f == nil || f.emit == nil {
		return
	}
	note := clip(r.Params.Message, 500)
	if total := r.Params.Total; total > 0 {
		note = strings.TrimSpace(fmt.Sprintf("%g of %g %s", r.Params.Progress, total, note))
	}
	if note != "" {
		f.emit(agent.Progress{Note: note})
	}
}

func clip(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "?")
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
