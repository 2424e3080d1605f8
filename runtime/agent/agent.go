// Package agent is the contract of everything a script can call.
package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/run"
)

// Agent serves one or more capabilities: a model, a shell, a web client.
type Agent interface {
	// Signatures lists what it serves. It is called once, when the agent is registered.
	Signatures() []types.Signature
	// Call makes one attempt. It returns when the work has ended; when ctx ends it stops the work, and everything it started, and returns soon.
	// It never retries by itself and never panics on what the world sends.
	Call(ctx context.Context, c *Call) Reply
}

// Checker is an Agent that can say whether it could serve a call now.
type Checker interface {
	// Check reports nil when the agent can be called, else what is wrong and how to mend it. It costs nothing and takes at most a few seconds.
	Check(ctx context.Context) error
}

// Accounter is an Agent whose answers depend on more than a call says: the server that is asked, and as whom.
type Accounter interface {
	// Account names that as Account makes it; it changes when the answers may. It is called from many goroutines and costs little.
	Account() string
}

// Account is a name for the parts that decide whose answers an agent gives, keys among them: it says nothing of them.
func Account(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d %s", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Call is one attempt of a call.
type Call struct {
	Run      run.ID
	Path     run.Path
	Attempt  int
	Key      string           // the idempotency key: the same for every attempt
	Deadline time.Time        // when the script gives the attempt up; zero: never
	Callee   *types.Signature // as pinned in the plan
	Args     map[string]any   // configured defaults included; may hold types.Secret and types.Parts: see Reveal
	Text     any              // string or types.Parts; []string for argv; nil when none
	Shared   int              // bytes of Text, from the first on, that other calls of the run begin with too: they are worth keeping for a provider that can
	System   string
	As       *types.Type     // the type asked for, nil when the script has no `as`
	Schema   json.RawMessage // of As, JSON Schema 2020-12
	Repair   *run.Repair     // the last answer and what was wrong with it
	Answer   *run.Answer     // what people said to the Form of the last Reply that asked, and its Token; nil: none did
	Folder   string          // the flow's folder; "" when it has none

	Secret func(name string) (string, error) // the value of a named secret
	Hide   func(name, value string)          // tells the host of a secret the agent brings itself, to be blacked out wherever it would be kept or shown; may be nil
	Emit   func(Progress)                    // never nil, never blocks
	Memory Memory                            // the shared state that the call may use; nil: there is none

	// Use has one of Callee.Tools called as part of this call: by the agent that serves it, within that agent's limits and whatever its health allows, and
	// ends with ctx. It shows that the tool is used, and what came of it, and blacks secrets out of what it gives. Several may be used at once. nil: none may.
	Use func(ctx context.Context, u Use) Reply
}

// Use is what a model wants of a tool.
type Use struct {
	ID     string // the model's name for this use, for those who watch
	Tool   string // one of the Names of Callee.Tools
	Args   map[string]any
	Answer *run.Answer // what people said to the Form of the last Reply to this use, and its Token; nil: none did
}

// Progress is news of a call under way. It is shown and forgotten.
type Progress struct {
	Delta string       // text as it streams
	Note  string       // one line about what is going on: "retrying in 3s"
	Tool  *run.ToolUse // a tool begins to be used in the call, or has been; without a Note it makes its own
}

// Reply is the end of an attempt: a value when Outcome is empty, else a failure.
type Reply struct {
	// Value is what the capability's Result says: string, or JSON values (nil, bool, int, float64, string, []any, map[string]any), or types.FileValue.
	// With As set it may be the model's text: the host reads, validates and repairs it.
	Value      any
	Outcome    run.Outcome
	Message    string // for the author: what happened and what to do, without secrets
	RetryAfter time.Duration
	Usage      run.Usage
	AgentID    string // the agent's own id of the call or session
	// Form and Token are of the outcome run.Asks: the call cannot go on without an answer of people. It is made again, as another attempt, with both that
	// answer and the Token: all that the agent must know of what it had done goes into the Token, up to run.MaxToken, since it may be another process then.
	Form  *run.Form
	Token string
}

// Memory is shared state by nested path (memory.*). Paths look like `a.b[0].c`. contexts.ErrUnavailable: it cannot be reached now. contexts.ErrUnsure: the
// call was interrupted before, and nobody knows any more whether its change was made.
type Memory interface {
	Get(ctx context.Context, scope contexts.Scope, path string) (value any, ok bool, err error)
	List(ctx context.Context, scope contexts.Scope, path string) ([]string, error)
	// Change makes a change once for all attempts of the call. A change of the run's own state may be put off until the end of the call is recorded: then
	// the host puts what it comes to, or why it cannot be made, in the place of the value of the Reply.
	Change(ctx context.Context, scope contexts.Scope, c contexts.Change) (value any, err error)
}

// Ask makes the Reply of an attempt that needs to know something of people.
func Ask(form run.Form, token string) Reply {
	return Reply{Outcome: run.Asks, Message: "it asks: " + form.Text, Form: &form, Token: token}
}

// Fail makes the Reply of a failed attempt.
func Fail(outcome run.Outcome, message string) Reply {
	return Reply{Outcome: outcome, Message: message}
}
