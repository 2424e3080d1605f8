// Package langtest is what tests of the language share: a scope with every standard agent, and the archives of testdata/spec.
package langtest

import (
	"fmt"
	"path"
	"strings"

	"github.com/slopstudios/slop/lang/types"
)

// models are the agents of the archives that think.
const models = "researcher writer editor composer drummer lyricist producer reader triage engineer accounts support critic oracle elder archive judge gpt local greeter"

// Scope holds the standard capabilities, and the models of the archives. A call of such a model costs at most three cents; `ollama` has no price.
// `archive` changes the world. It loads nothing: see Files.
func Scope() types.Scope {
	s := types.Scope{Capabilities: map[string]types.Signature{}}
	add := func(sig types.Signature) {
		sig.Use = sig.Name
		s.Capabilities[sig.Name] = sig
	}
	for _, sig := range standard() {
		add(sig)
	}
	for name := range strings.FieldsSeq(models) {
		sig := model(name)
		if name == "archive" {
			sig.Effect = types.Do
		}
		add(sig)
	}
	return s
}

// Files gives a scope the files that a `use` can load, by the name they have in the archive.
func Files(s types.Scope, files map[string]string) types.Scope {
	s.Load = func(from, use string) (string, string, error) {
		name := use
		if strings.HasPrefix(use, ".") {
			name = path.Join(path.Dir(from), use)
		}
		text, ok := files[name]
		if !ok {
			return "", "", fmt.Errorf("there is no file %s", name)
		}
		return name, text, nil
	}
	return s
}

func of(kind types.Kind) types.Type { return types.Type{Kind: kind} }

func maybe(kind types.Kind) types.Type { return types.Type{Kind: kind, Optional: true} }

func needs(name string, t types.Type) types.Param {
	return types.Param{Name: name, Type: t, Required: true}
}

func takes(name string, t types.Type) types.Param {
	t.Optional = true
	return types.Param{Name: name, Type: t}
}

func model(name string, params ...types.Param) types.Signature {
	return types.Signature{
		Name: name, Primary: "prompt", Text: types.Prompt, Result: of(types.String), Effect: types.Think, Kind: types.Call, Structured: true, World: true,
		Params: append([]types.Param{needs("prompt", of(types.String))}, params...),
		Price:  &types.Price{Input: 3, Output: 15}, MaxOutput: 2000,
	}
}

func standard() []types.Signature {
	list := func(t types.Type) types.Type { return types.Type{Kind: types.List, Elem: &t} }
	enum := func(values ...string) types.Type { return types.Type{Kind: types.Enum, Values: values} }
	record := func(fields ...types.Field) types.Type { return types.Type{Kind: types.Record, Fields: fields} }
	secret := func(p types.Param) types.Param { p.Secret = true; return p }
	host := func(p types.Param) types.Param { p.Host = true; return p }

	knobs := []types.Param{takes("model", of(types.String)), takes("max_tokens", of(types.Int)), takes("temperature", of(types.Float))}
	claude := model("claude", append(knobs, takes("effort", of(types.String)))...)
	claude.Prices = map[string]types.Price{"haiku": {Input: 1, Output: 5}, "sonnet": {Input: 3, Output: 15}, "opus": {Input: 5, Output: 25}}
	openai := model("openai", knobs...)
	ollama := model("ollama", knobs...)
	ollama.Price = nil

	page := record(
		types.Field{Name: "status", Type: of(types.Int)}, types.Field{Name: "type", Type: of(types.String)}, types.Field{Name: "headers", Type: of(types.Any)},
		types.Field{Name: "body", Type: of(types.String)}, types.Field{Name: "json", Type: maybe(types.Any)},
	)
	memory := func(verb string, effect types.Effect, result types.Type, params ...types.Param) types.Signature {
		scope := takes("scope", enum("run", "flow", "shared"))
		scope.Lasts = true
		return types.Signature{
			Name: "memory." + verb, Primary: "path", Text: types.Text, Result: result, Effect: effect, Kind: types.Call, Idempotent: true, Free: true,
			Params: append(params, scope),
		}
	}
	url := host(needs("url", of(types.String)))
	headers := secret(takes("headers", of(types.Any)))
	all := []types.Signature{
		{
			Name: "echo", Primary: "text", Text: types.Text, Params: []types.Param{needs("text", of(types.String))}, Result: of(types.String),
			Effect: types.Read, Kind: types.Call, Structured: true, Idempotent: true, Free: true,
		},
		claude, openai, ollama,
		{
			Name: "shell", Primary: "argv", Text: types.Argv, Result: of(types.String), Effect: types.Do, Kind: types.Call, World: true,
			Params: []types.Param{takes("argv", list(of(types.String))), host(takes("sh", of(types.String))), secret(takes("env", of(types.Any))), takes("stdin", of(types.String))},
		},
		{
			Name: "human.ask", Primary: "question", Text: types.Text, Params: []types.Param{needs("question", of(types.String))}, Result: of(types.String), Structured: true,
			Effect: types.Do, Kind: types.Ask, Question: true, World: true,
		},
		{
			Name: "human.approve", Primary: "question", Text: types.Text, Params: []types.Param{needs("question", of(types.String))}, Result: enum("yes", "no"),
			Effect: types.Do, Kind: types.Ask, Question: true,
		},
		{
			Name: "human.choose", Primary: "question", Text: types.Text, Result: of(types.String), Effect: types.Do, Kind: types.Ask, Question: true,
			Params: []types.Param{needs("question", of(types.String)), needs("from", list(of(types.String)))},
		},
		{
			Name: "wait", Primary: "for", Text: types.Text, Params: []types.Param{takes("for", of(types.String)), takes("until", of(types.String))},
			Result: of(types.Nothing), Effect: types.Do, Kind: types.Sleep,
		},
		memory("get", types.Read, maybe(types.Any), needs("path", of(types.String)), takes("default", of(types.Any))),
		memory("list", types.Read, list(of(types.String)), takes("path", of(types.String))),
		memory("set", types.Do, of(types.Nothing), needs("path", of(types.String)), needs("value", of(types.Any)), takes("ttl", of(types.String))),
		memory("merge", types.Do, of(types.Nothing), needs("path", of(types.String)), needs("value", of(types.Any)), takes("ttl", of(types.String))),
		memory("append", types.Do, of(types.Int), needs("path", of(types.String)), needs("value", of(types.Any)), takes("ttl", of(types.String))),
		memory("add", types.Do, of(types.Any), needs("path", of(types.String)), takes("by", of(types.Float)), takes("ttl", of(types.String))),
		memory("delete", types.Do, of(types.Nothing), needs("path", of(types.String))),
		{
			Name: "strudel.validate", Primary: "code", Text: types.Code, Params: []types.Param{needs("code", of(types.String))}, Effect: types.Read, Kind: types.Call, Free: true,
			Result: record(types.Field{Name: "valid", Type: of(types.Bool)}, types.Field{Name: "problem", Type: of(types.String)}, types.Field{Name: "problems", Type: list(record(types.Field{Name: "line", Type: of(types.Int)},
				types.Field{Name: "column", Type: of(types.Int)}, types.Field{Name: "message", Type: of(types.String)}, types.Field{Name: "suggestion", Type: of(types.String)}))}),
		},
		{
			Name: "strudel.events", Primary: "code", Text: types.Code, Params: []types.Param{needs("code", of(types.String)), takes("cycles", of(types.Int))}, Effect: types.Read, Kind: types.Call, Free: true,
			Result: list(record(types.Field{Name: "begin", Type: of(types.Float)}, types.Field{Name: "end", Type: of(types.Float)}, types.Field{Name: "whole", Type: of(types.String)},
				types.Field{Name: "time", Type: of(types.Float)}, types.Field{Name: "duration", Type: of(types.Float)}, types.Field{Name: "values", Type: of(types.Any)})),
		},
		{
			Name: "strudel.render", Primary: "code", Text: types.Code, Effect: types.Read, Kind: types.Call, Free: true,
			Params: []types.Param{
				needs("code", of(types.String)), takes("seconds", of(types.Float)), takes("bpm", of(types.Float)),
				takes("format", types.Type{Kind: types.Enum, Values: []string{"wav", "midi"}}), takes("name", of(types.String)),
			},
			Result: record(types.Field{Name: "audio", Type: of(types.File)}, types.Field{Name: "midi", Type: of(types.File)}, types.Field{Name: "picture", Type: of(types.File)},
				types.Field{Name: "seconds", Type: of(types.Float)}, types.Field{Name: "events", Type: of(types.Int)}, types.Field{Name: "unrendered", Type: list(of(types.String))}),
		},
	}
	for _, method := range []string{"get", "head", "post", "put", "patch", "delete"} {
		sig := types.Signature{
			Name: "http." + method, Primary: "url", Text: types.URL, Params: []types.Param{url, headers, takes("query", of(types.Any))}, Result: page,
			Effect: types.Read, Kind: types.Call, Idempotent: true, World: true,
		}
		if method != "get" && method != "head" {
			sig.Effect = types.Do
			sig.Idempotent = method == "put" || method == "delete"
			sig.Params = append(sig.Params, takes("body", of(types.Any)), takes("form", of(types.Any)))
		}
		all = append(all, sig)
	}
	return all
}
