package claude

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/model"
)

// work is what an attempt of the program begins with, or goes on from.
//
// A session of the program outlives it. Its id is made of the run and the step, so that it is known before the program starts and found again by whoever makes
// the call anew, without anything being recorded:
//
//	first attempt ──▶ --session-id ──▶ crash, question or unfit answer ──▶ next attempt ──▶ --resume
//
// Only an agent that does something keeps a session. What one that thinks has not answered it has not done: it is asked again and leaves nothing behind.
type work struct {
	session string   // "": none is kept
	resumes bool     // the session is there already, as far as anybody knows
	prompt  string   // what goes in by stdin
	allowed []string // rules of permissions that people gave on the way
}

// begin says what an attempt does. The error is for people who answered with a no.
func (a *claude) begin(c *agent.Call, req model.Request) (work, error) {
	w := work{prompt: prompt(req)}
	if !a.acts() || c.Run == "" {
		return w, nil
	}
	w.session = sessionID(c)
	if c.Answer != nil {
		t, err := readPermit(c.Answer)
		if err != nil {
			return w, err
		}
		w.session, w.allowed = t.Session, t.rules()
	}
	switch {
	case c.Repair != nil:
		w.resumes, w.prompt = true, req.Turns[2].Text
	case c.Answer != nil:
		w.resumes, w.prompt = true, "You may do now what was denied. See what is done already, do nothing twice, and go on with the request."
	case c.Attempt > 1:
		w.resumes, w.prompt = true, "You were interrupted. See what is done already, do nothing twice, and go on with the request, which was:\n\n"+prompt(req)
	}
	return w, nil
}

// anew is the work when no session is there to go on from: the whole request, under the same id.
func (w work) anew(req model.Request) work {
	w.resumes, w.prompt = false, prompt(req)
	return w
}

// taken is the work when the session is there although this is the first attempt: it can only be this call's own.
func (w work) taken(req model.Request) work {
	w.resumes, w.prompt = true, "You were interrupted. See what is done already, do nothing twice, and go on with the request, which was:\n\n"+prompt(req)
	return w
}

func (w work) flag() string {
	switch {
	case w.session == "":
		return "--no-session-persistence"
	case w.resumes:
		return "--resume=" + w.session
	}
	return "--session-id=" + w.session
}

// sessionID is a UUID (version 8) made of the run and the step: the same for each attempt of the call and each repair of its answer, and for no other call.
func sessionID(c *agent.Call) string {
	sum := sha256.Sum256([]byte("slop session\x00" + c.Path.Step().Key(c.Run)))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// What the program says of sessions.
func sessionMissing(words string) bool { return strings.Contains(words, "No conversation found") }
func sessionTaken(words string) bool   { return strings.Contains(words, "is already in use") }
