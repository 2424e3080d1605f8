package model

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// Tool is what a model may use, under a name that providers take.
type Tool struct {
	types.Tool
	Name string // letters, digits, _ and -, at most 64
}

// Use is what a model wants of a tool.
type Use struct {
	ID   string `json:"id"` // the model's own name for it
	Name string `json:"name"`
	Args string `json:"args,omitempty"` // what should be a JSON object
}

// Answer is what a tool gave to the Use with its ID.
type Answer struct {
	ID     string `json:"id"`
	Text   string `json:"text"`
	Failed bool   `json:"failed,omitempty"`
}

// Round is one answer of a model. With Uses it is not the last one: Raw is then what it said, as its provider wants it back, and Text what can be read of it.
type Round struct {
	agent.Reply
	Uses []Use
	Raw  json.RawMessage
	Text string
}

// What tools may take up in a conversation.
const (
	maxUses     = 32        // in one turn
	maxTogether = 8         // of them at a time
	maxResult   = 128 << 10 // bytes of an answer that a model is shown
)

// Converse puts a request to a model until it answers. ask makes one request. Between two, what the model wants of its tools is done: what only reads at the same
// time, and as soon as something changes the world, all in the order in which it was asked for. What goes wrong with a tool the model is told, and may mend.
// After Rounds of this it is asked to answer without them.
//
// A tool that asks people ends the call with their question. The conversation so far goes into its token, so that what was done is not done again.
func Converse(ctx context.Context, c *agent.Call, r Request, ask func(context.Context, Request) Round) agent.Reply {
	var so talk
	if c.Answer != nil {
		if err := so.read(c.Answer); err != nil {
			return agent.Fail(run.Failure, err.Error())
		}
	}
	begin := slices.Clone(r.Turns)
	var used run.Usage
	end := func(reply agent.Reply) agent.Reply {
		reply.Usage = reply.Usage.Add(used)
		reply.Usage.Calls = 1
		return reply
	}
	for {
		if len(so.Open) > 0 {
			so.use(ctx, c, r.Tools, func(u run.Usage) { used = used.Add(u) })
			if reply, ended := outcome.Ended(ctx); ended {
				return end(reply)
			}
			if form := so.question(); form != nil {
				return end(so.ask(*form))
			}
			so.close()
		}
		r.Turns = append(slices.Clip(begin), so.Turns...)
		r.Last = len(r.Tools) > 0 && so.Rounds >= r.Rounds
		round := ask(ctx, r)
		if round.Outcome != "" || len(round.Uses) == 0 {
			return end(round.Reply)
		}
		if r.Last {
			round.Reply = agent.Reply{Outcome: run.Failure, Message: fmt.Sprintf("it used tools %d times and wants to go on instead of answering: tool_rounds allows more", so.Rounds), Usage: round.Usage, AgentID: round.AgentID}
			return end(round.Reply)
		}
		used = used.Add(round.Usage)
		so.Rounds++
		so.Turns = append(so.Turns, Turn{Assistant: true, Text: round.Text, Raw: round.Raw, Uses: round.Uses})
		so.Open = make([]open, len(round.Uses))
	}
}

// talk is a conversation with tools, behind what the call asked for. It outlives the process while people are asked.
type talk struct {
	Rounds int    `json:"rounds"`
	Turns  []Turn `json:"turns"`
	Open   []open `json:"open,omitempty"`  // of the uses of the last turn: what came of each so far
	Asked  int    `json:"asked,omitempty"` // the one that people are asked for
}

// open is a use that may not have ended.
type open struct {
	Answer *Answer     `json:"answer,omitempty"` // it has
	Form   *run.Form   `json:"form,omitempty"`   // it asks people
	Token  string      `json:"token,omitempty"`  // and is given this back with what they say
	said   *run.Answer // which they did
}

// read takes up the conversation that a token holds, and what people said.
func (so *talk) read(a *run.Answer) error {
	if err := json.Unmarshal([]byte(a.Token), so); err != nil || so.Asked < 0 || so.Asked >= len(so.Open) || len(so.Turns) == 0 || len(so.Turns[len(so.Turns)-1].Uses) != len(so.Open) {
		return errors.New("what was remembered of the conversation cannot be read")
	}
	asked := &so.Open[so.Asked]
	asked.said = &run.Answer{Token: asked.Token, Value: a.Value}
	asked.Form, asked.Token = nil, ""
	return nil
}

// use does what the last turn wants of tools, as far as it is not done and nobody is asked for it.
func (so *talk) use(ctx context.Context, c *agent.Call, tools []Tool, used func(run.Usage)) {
	uses := so.Turns[len(so.Turns)-1].Uses
	inOrder := slices.ContainsFunc(uses, func(u Use) bool {
		t := find(tools, u.Name)
		return t != nil && t.Effect != types.Read && t.Effect != types.Think
	})
	var mu sync.Mutex
	one := func(i int) {
		o, usage := so.Open[i].try(ctx, c, tools, uses[i], i)
		mu.Lock()
		defer mu.Unlock()
		used(usage)
		so.Open[i] = o
	}
	var group sync.WaitGroup
	places := make(chan struct{}, maxTogether)
	for i := range uses {
		if so.Open[i].Answer != nil {
			continue
		}
		if inOrder {
			if so.Open[i].Form != nil || ctx.Err() != nil {
				break
			}
			if one(i); so.Open[i].Form != nil {
				break
			}
			continue
		}
		if so.Open[i].Form != nil {
			continue
		}
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			one(i)
		})
	}
	group.Wait()
}

// try does one use.
func (o open) try(ctx context.Context, c *agent.Call, tools []Tool, u Use, i int) (open, run.Usage) {
	answer := func(failed bool, text string) open {
		return open{Answer: &Answer{ID: u.ID, Text: text, Failed: failed}}
	}
	if i >= maxUses {
		return answer(true, fmt.Sprintf("not done: at most %d tools are used at once", maxUses)), run.Usage{}
	}
	t := find(tools, u.Name)
	if t == nil {
		return answer(true, fmt.Sprintf("there is no tool %q; there are: %s", u.Name, strings.Join(names(tools), ", "))), run.Usage{}
	}
	args, err := arguments(u.Args)
	if err != nil {
		return answer(true, "not done: "+err.Error()), run.Usage{}
	}
	reply := c.Use(ctx, agent.Use{ID: u.ID, Tool: t.Tool.Name, Args: args, Answer: o.said})
	switch reply.Outcome {
	case "":
		return answer(false, cut(text(reply.Value))), reply.Usage
	case run.Asks:
		if reply.Form != nil {
			return open{Form: reply.Form, Token: reply.Token}, reply.Usage
		}
	}
	return answer(true, cut(fmt.Sprintf("%s: %s", reply.Outcome, reply.Message))), reply.Usage
}

// question is the next thing that people are asked; nil: nothing is.
func (so *talk) question() *run.Form {
	for i := range so.Open {
		if so.Open[i].Form != nil {
			so.Asked = i
			return so.Open[i].Form
		}
	}
	return nil
}

// ask ends the call with a question.
func (so *talk) ask(form run.Form) agent.Reply {
	token, err := json.Marshal(so)
	if err != nil || len(token) > run.MaxToken {
		u := so.Turns[len(so.Turns)-1].Uses[so.Asked]
		return agent.Fail(run.Failure, fmt.Sprintf("the tool %s asks people, and the conversation until then is longer than %d KiB, which is what can be kept until they answer", u.Name, run.MaxToken>>10))
	}
	return agent.Ask(form, string(token))
}

// close puts what the tools gave into the conversation.
func (so *talk) close() {
	t := Turn{}
	for _, o := range so.Open {
		t.Answers = append(t.Answers, *o.Answer)
	}
	so.Turns, so.Open = append(so.Turns, t), nil
}

func find(tools []Tool, name string) *Tool {
	i := slices.IndexFunc(tools, func(t Tool) bool { return t.Name == name || t.Tool.Name == name })
	if i < 0 {
		return nil
	}
	return &tools[i]
}

func names(tools []Tool) []string {
	var out []string
	for _, t := range tools {
		out = append(out, t.Name)
	}
	return out
}

// arguments reads what a model gives a tool. Nothing is no argument at all.
func arguments(raw string) (map[string]any, error) {
	if strings.TrimSpace(raw) == "" {
		return map[string]any{}, nil
	}
	v, err := jsonvalue.Parse([]byte(raw))
	if text, twice := v.(string); twice && err == nil { // written as a text of JSON
		v, err = jsonvalue.Parse([]byte(text))
	}
	if err != nil {
		return nil, fmt.Errorf("the arguments are no JSON: %w", err)
	}
	switch v := v.(type) {
	case map[string]any:
		return v, nil
	case nil:
		return map[string]any{}, nil
	}
	return nil, errors.New("the arguments are no JSON object")
}

// text is what a model is shown of the answer of a tool. Of a file that is no text it is what the file is.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "done"
	case string:
		if strings.TrimSpace(v) == "" {
			return "(nothing)" // an empty text is refused
		}
		return v
	case types.FileValue:
		return fileText(v)
	}
	s, err := jsonvalue.Text(shown(v))
	if err != nil {
		return "the answer cannot be written as JSON"
	}
	return s
}

func shown(v any) any {
	switch v := v.(type) {
	case types.FileValue:
		return fileText(v)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = shown(item)
		}
		return list
	case map[string]any:
		record := make(map[string]any, len(v))
		for name, field := range v {
			record[name] = shown(field)
		}
		return record
	}
	return v
}

func fileText(f types.FileValue) string {
	if utf8.Valid(f.Data) && len(f.Data) > 0 {
		return string(f.Data)
	}
	return fmt.Sprintf("(a file that is no text: %s, %s, %d bytes)", f.Name, f.Type, f.Size)
}

func cut(s string) string {
	if len(s) <= maxResult {
		return s
	}
	return strings.ToValidUTF8(s[:maxResult], "") + fmt.Sprintf("\n… (the first %d of %d bytes)", maxResult, len(s))
}

// offered are the tools of a call under names that every provider takes.
func offered(c *agent.Call) []Tool {
	if c.Use == nil || c.Callee == nil {
		return nil
	}
	var out []Tool
	for _, t := range c.Callee.Tools {
		name := strings.Map(func(r rune) rune {
			if r == '_' || r == '-' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
				return r
			}
			return '_'
		}, strings.ReplaceAll(t.Name, ".", "__"))
		if len(name) > 64 || find(out, name) != nil {
			sum := sha256.Sum256([]byte(t.Name))
			name = name[:min(len(name), 55)] + "_" + hex.EncodeToString(sum[:4])
		}
		out = append(out, Tool{t, name})
	}
	return out
}
