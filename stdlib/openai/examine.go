package openai

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// Examine says whether key, endpoint and model are as they should be. It asks for the list of models, which costs nothing.
func (a *chat) Examine(ctx context.Context, say func(agent.Finding)) {
	secrets := outcome.NewSecrets(nil)
	key, err := a.key(secrets)
	switch {
	case err != nil:
		f := agent.Finding{What: "key", Wrong: true}
		f.Said, f.Mend, _ = strings.Cut(err.Error(), ": ")
		say(f)
		return
	case key != "":
		say(agent.Finding{What: "key", Said: a.keyName() + " is set"})
	default:
		say(agent.Finding{What: "key", Said: "none is sent"})
	}
	names, err := a.models(ctx, key)
	if err != nil {
		f := agent.Finding{What: "endpoint", Wrong: true}
		f.Said, f.Mend, _ = strings.Cut(secrets.Black(err.Error()), ": ")
		say(f)
		return
	}
	say(agent.Finding{What: "endpoint", Said: a.BaseURL})
	switch {
	case a.Model == "":
		f := agent.Finding{What: "model", Said: "none is named, so each call must name one", Mend: "set model in slop.toml"}
		if len(names) > 0 {
			f.Mend += "; there are " + few(names)
		}
		say(f)
	case len(names) == 0:
		say(agent.Finding{What: "model", Said: a.Model + "; the server does not say which it has"})
	case !slices.Contains(names, a.Model) && !slices.Contains(names, a.Model+":latest"):
		mend := "set model to one of: " + few(diag.NearestN(a.Model, names, len(names)))
		if near, ok := diag.Nearest(a.Model, names); ok {
			mend = fmt.Sprintf("did you mean %s? There are: %s", near, few(diag.NearestN(a.Model, names, len(names))))
		}
		if a.Name == "ollama" || strings.HasSuffix(a.host(), ":11434") {
			mend = fmt.Sprintf("ollama pull %s, or: %s", a.Model, mend)
		}
		say(agent.Finding{What: "model", Said: fmt.Sprintf("%s has no model %s", a.host(), a.Model), Wrong: true, Mend: mend})
	default:
		say(agent.Finding{What: "model", Said: a.Model})
	}
}
