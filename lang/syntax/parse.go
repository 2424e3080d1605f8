package syntax

import (
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// Parse reads a script. It never panics and always returns a File: lines that cannot be read are left out, what they would have declared is in File.Broken,
// and the list says why, in the order of the text.
func Parse(src *source.File) (*File, diag.List) {
	file := &File{Source: src}
	if d, bad := unreadable(src); bad {
		return file, diag.List{d}
	}
	s := scan(src)
	r := &reader{src: src, file: file, tokens: s.tokens, diags: append(s.diags, bidi(src)...)}
	r.scanned, r.unclosed = len(r.diags), len(s.unclosed) > 0
	file.Comments = s.comments
	if s.tooDeep {
		return file, r.diags
	}
	lex, err := lexer.Upgrade(&replay{tokens: s.tokens})
	if err != nil {
		panic("syntax: replay failed: " + err.Error()) // it has no way to
	}
	r.lex = *lex
	r.top(lex)
	r.reportForeignTypes()
	r.diags.Sort()
	return file, r.diags
}

// Incomplete tells whether a text that a person types is not at its end yet: a bracket or a triple-quoted text is open, or the last line ends in an operator.
func Incomplete(text string) bool {
	s := newScanner(source.NewFile("", text))
	s.run()
	if len(s.unclosed) > 0 || s.open {
		return !s.tooDeep
	}
	for i := len(s.tokens) - 2; i >= 0; i-- {
		if t := &s.tokens[i]; t.Type != eolToken {
			return t.Type == opToken && (binary[t.Value] || t.Value == "=" || t.Value == "->" || t.Value == ",")
		}
	}
	return false
}

// reader turns tokens into a tree, one line at a time.
type reader struct {
	src    *source.File
	file   *File
	tokens []lexer.Token
	lex    lexer.PeekingLexer // at the start of the stream
	diags  diag.List

	scanned      int  // so many diagnostics are of the scan
	unclosed     bool // some bracket is never closed
	explained    int
	yaml         bool // a line looked like YAML, and it was said
	valueNames   map[string]bool
	foreignTypes []Name
}

func (r *reader) report(d diag.Diagnostic) {
	if len(r.diags)-r.scanned >= maxDiagnostics {
		return
	}
	d.Severity, d.File = diag.Error, r.src
	r.diags.Add(d)
}

// file = { item EOL } .
func (r *reader) top(lex *lexer.PeekingLexer) {
	for {
		start, ok := r.nextLine(lex)
		if !ok {
			return
		}
		t := lex.Peek()
		if t.Type == nameToken && !r.named(start) {
			if item, err, ok := readItem(lex, t.Value); ok {
				if r.settle(lex, start, err) {
					r.finish(item)
					r.file.Items = append(r.file.Items, item)
				}
				continue
			}
		}
		if stmt, ok := r.stmt(lex, start, false); ok {
			r.file.Items = append(r.file.Items, stmt)
		}
	}
}

// nextLine moves to the next line and returns where in the stream it begins; false at the end of the file or block.
func (r *reader) nextLine(lex *lexer.PeekingLexer) (lexer.RawCursor, bool) {
	for accept(lex, eol) {
	}
	t := lex.Peek()
	return lex.RawCursor(), t.Type != eofToken && !is(t, "}")
}

// named tells whether the line that starts here is `NAME = …`: then its first word is a name, whatever it means elsewhere.
func (r *reader) named(start lexer.RawCursor) bool { return is(r.at(start+1), "=") }

// at is the token at a place in the stream; the end of the file for those behind it.
func (r *reader) at(i lexer.RawCursor) *lexer.Token {
	return &r.tokens[max(0, min(int(i), len(r.tokens)-1))]
}

func (r *reader) stmt(lex *lexer.PeekingLexer, start lexer.RawCursor, inBlock bool) (Stmt, bool) {
	if r.misplaced(start, inBlock) {
		r.leave(lex, start, r.lineEnd(start))
		return nil, false
	}
	var stmt Stmt
	var err error
	if t := lex.Peek(); t.Type == nameToken && !r.named(start) {
		stmt, err = readStmt(lex, t.Value)
	} else {
		stmt, err = readStepStmt(lex)
	}
	if !r.settle(lex, start, err) {
		return nil, false
	}
	if s, ok := stmt.(*StepStmt); ok && r.bareValue(s) {
		r.salvage(start, lex.RawCursor())
		return nil, false
	}
	r.finish(stmt)
	return stmt, true
}

// settle ends a line. One that was not read to its end is reported and left behind; its name is noted as broken.
func (r *reader) settle(lex *lexer.PeekingLexer, start lexer.RawCursor, err error) bool {
	stop := lex.Peek()
	if err == nil && (stop.Type == eolToken || stop.Type == eofToken || is(stop, "}")) {
		if r.unclosed && r.cutOff(start, lex.RawCursor()) {
			r.salvage(start, lex.RawCursor())
			return false
		}
		return true
	}
	failed := lex.RawCursor()
	end := r.lineEnd(start)
	if failed > end {
		end = r.lineEnd(failed)
	}
	r.explain(line{start: start, end: end, failed: min(failed, end)}, err)
	r.leave(lex, start, end)
	return false
}

// cutOff tells whether a bracket of a line was closed by the scan alone: what its author would have written behind it, nobody knows.
func (r *reader) cutOff(start, end lexer.RawCursor) bool {
	for i := start; i < end; i++ {
		if t := r.at(i); t.Pos.Column == forgotten && !is(t, "}") {
			return true
		}
	}
	return false
}

// leave moves to the end of a line that could not be read.
func (r *reader) leave(lex *lexer.PeekingLexer, start, end lexer.RawCursor) {
	r.salvage(start, end)
	r.readInside(start, end)
	if lex.RawCursor() < end {
		lex.FastForward(end - 1)
	}
}

// lineEnd is the end of the line that starts here: its line end, the closing brace around it, or the end of the file.
func (r *reader) lineEnd(i lexer.RawCursor) lexer.RawCursor {
	for {
		t := r.at(i)
		switch {
		case t.Type == eolToken || t.Type == eofToken || is(t, "}") || is(t, ")") || is(t, "]"):
			if is(t, ")") || is(t, "]") {
				i++
				continue
			}
			return i
		case is(t, "{") || is(t, "(") || is(t, "["):
			i = partner(t)
		}
		i++
	}
}

// salvage notes the name that a broken line would have declared.
func (r *reader) salvage(start, end lexer.RawCursor) {
	i := start
	switch r.at(i).Value {
	case "let", "input", "secret", "agent", "type":
		i++
	case "use":
		for i = start + 1; i < end && !is(r.at(i-1), "as"); i++ {
		}
		if i >= end && end == start+3 { // without its `as`
			i = start + 2
		}
	default:
		if next := r.at(i + 1); !is(next, "=") && !is(next, ":") && !is(next, ":=") {
			return
		}
	}
	if t := r.at(i); t.Type == nameToken && i < end {
		r.file.Broken = append(r.file.Broken, Name{Node{span(t)}, t.Value})
	}
}

// readInside reads the blocks of a line that could not be read, for the sake of what is wrong in them: a loop without `max` has lines like any other.
func (r *reader) readInside(start, end lexer.RawCursor) {
	first := start
	if r.named(start) {
		first += 2
	} else if is(r.at(start), "output") {
		first++
	}
	if word := r.at(first); r.explained > maxExplained || word.Type != nameToken || is(word, "match") || !blockWords[word.Value] && foreignWords[word.Value].help == "" {
		return
	}
	for i := first; i < end; i++ {
		t := r.at(i)
		if !is(t, "(") && !is(t, "[") && !is(t, "{") {
			continue
		}
		if prev := r.at(i - 1); is(t, "{") && (prev.Type != opToken || is(prev, ")") || is(prev, ":")) {
			lex := r.lex
			lex.FastForward(i)
			r.block(&Block{from: lex.Checkpoint})
		}
		i = partner(t)
	}
}

// finish reads what participle left for later: texts, expressions, blocks.
func (r *reader) finish(n any) {
	Walk(n, func(n any) bool {
		r.names(n)
		switch n := n.(type) {
		case *Text:
			r.decode(n, false)
			return false
		case *Expr:
			r.fill(n, false)
			return false
		case *Block:
			r.block(n)
			return false
		case *Agent:
			n.Base.At.End = max(n.Base.At.End, n.At.End)
		case *Branch:
			n.At = n.Cond.At.Join(n.Body.At)
		}
		return true
	})
}

// block = "{" [ stmt { EOL stmt } ] "}" .
func (r *reader) block(b *Block) {
	inside := r.lex
	inside.LoadCheckpoint(b.from)
	lex := &inside
	for {
		start, ok := r.nextLine(lex)
		if !ok {
			return
		}
		if stmt, ok := r.stmt(lex, start, true); ok {
			b.Stmts = append(b.Stmts, stmt)
		} else {
			b.Lost = true
		}
	}
}
