package machine

import (
	"strings"

	"github.com/slopstudios/slop/runtime/run"
)

// maxNotes is how many notes one fact may leave. A fact that sets a million rounds going needs no million lines.
const maxNotes = 1000

// note remembers what no fact says. The path is the node's where none is set, the agent that of its call.
func (m *Machine) note(n *node, x run.Note) {
	if len(m.notes) >= maxNotes {
		m.unnoted++
		return
	}
	if n != nil {
		if x.Path == "" {
			x.Path = m.path(n)
		}
		if c := m.plan(n).Call; c != nil {
			x.Agent = c.Agent
		}
	}
	m.notes = append(m.notes, x)
}

func (m *Machine) takeNotes() []run.Note {
	notes := m.notes
	if m.unnoted > 0 {
		notes = append(notes, run.Note{Kind: run.NoteMore, Number: m.unnoted})
	}
	m.notes, m.unnoted = nil, 0
	return notes
}

// noteFailure says why a node failed. A race's reasons, a budget, a value: what did not come from a fact of its own.
func (m *Machine) noteFailure(n *node, err *run.Error) {
	m.note(n, run.Note{Kind: run.NoteFailed, Path: err.Path, Error: err})
}

func (m *Machine) noteWinners(n *node, f *frame) {
	if len(m.notes) >= maxNotes {
		m.unnoted++
		return
	}
	var names []string
	for i := range f.nodes {
		if f.nodes[i].state == nodeDone && m.table(&f.nodes[i]).step {
			names = append(names, m.plan(&f.nodes[i]).Name)
		}
	}
	m.note(n, run.Note{Kind: run.NoteWon, Name: strings.Join(names, ", ")})
}

// noteWithdrawn says that what a call waited for is not awaited any more: of a call under way its CallEnded says so, of one that was never made there is
// nothing to say.
func (m *Machine) noteWithdrawn(c *call) {
	switch {
	case c.node == nil:
	case c.isAsk(), c.state == callSleeping, c.retries > 0 && !c.due.IsZero():
		m.note(c.node, run.Note{Kind: run.NoteWithdrawn, Path: c.path})
	}
}
