package song

import (
	"maps"
	"slices"
	"strings"

	"github.com/slopstudios/slop/stdlib/strudel/js"
	"github.com/slopstudios/slop/stdlib/strudel/mini"
	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/vocab"
)

// usage shows how functions are called that are often called wrongly.
var usage = map[string]string{
	"every": "as in .every(4, x => x.rev())", "firstOf": "as in .firstOf(4, x => x.rev())", "lastOf": "as in .lastOf(4, x => x.rev())",
	"sometimesBy": "as in .sometimesBy(.3, x => x.speed(2))", "sometimes": "as in .sometimes(x => x.speed(2))", "off": "as in .off(1/8, x => x.add(7))",
	"euclid": "as in .euclid(3, 8)", "echo": "as in .echo(3, 1/8, .6)", "jux": "as in .jux(rev)", "juxBy": "as in .juxBy(.5, rev)",
	"arrange": "as in arrange([4, a], [2, b])", "range": "as in sine.range(200, 2000)", "scale": `as in n("0 2 4").scale("C:minor")`,
	"struct": `as in .struct("x ~ x x")`, "chunk": "as in .chunk(4, x => x.fast(2))", "swingBy": "as in .swingBy(1/3, 4)",
}

// uncovered are documented functions that are not played here, with what to do instead.
var uncovered = map[string]string{
	"cpm": "write setcpm(…) on a line of its own", "voicing": "the voicings of chords are a table that is not here: write the notes, as in note(\"[c3,e3,g3]\")", "voicings": "the voicings of chords are a table that is not here: write the notes, as in note(\"[c3,e3,g3]\")",
	"dict": "the voicings of chords are a table that is not here: write the notes, as in note(\"[c3,e3,g3]\")", "addVoicings": "the voicings of chords are a table that is not here: write the notes, as in note(\"[c3,e3,g3]\")", "setVoicingRange": "", "register": "write a constant: const f = x => x.fast(2), then .apply(f)",
	"pickmod": "use pick", "squeeze": "use .pickSqueeze, or squeeze(pattern, list)", "rolledBy": "write the notes with .late", "rolled": "", "wrapPattern": "",
	"midi": "sound is rendered here, not sent to a device", "osc": "sound is rendered here, not sent to a device", "csound": "", "csoundm": "", "hydra": "", "initHydra": "", "mqtt": "",
	"midin": "there is no device here", "midikeys": "", "gamepad": "", "mousex": "there is no mouse here", "mousey": "there is no mouse here", "mouseX": "there is no mouse here", "mouseY": "there is no mouse here",
	"xfade": "use .gain", "morph": "", "seqPLoop": "use arrange",
	"stepJoin": "", "innerJoin": "", "outerJoin": "", "squeezeJoin": "", "bind": "", "innerBind": "", "fmap": "use .add, .mul or another operation", "withValue": "use .add, .mul or another operation",
	"keepif": "use .mask or .struct", "onTrigger": "", "filter": "", "filterValues": "", "filterWhen": "", "splitAt": "", "replicate": "use !",
	"nTimes": "", "bypass": "mute a voice with a _ before its label", "whenmod": "use .every", "whenKey": "there is no keyboard here", "keyDown": "there is no keyboard here",
	"xen": "", "tune": "", "edo": "", "withBase": "", "ftrans": "", "fmod": "", "lfo": "use a signal, as in .lpf(sine.range(200, 2000))", "env": "", "bmod": "",
	"speak": "", "nrpn": "", "control": "", "ccin": "", "cc": "", "H": "hydra is not played here", "shader": "", "loadShader": "", "aliasBank": "", "soundAlias": "", "loadOrc": "",
	"setGainCurve": "", "setMaxPolyphony": "", "resetGlobalEffects": "", "each": "write .room(…) on each voice", "solo": "", "useRNG": "", "Math": "write the number",
	"squeezeBind": "", "loopAtCps": "use loopAt, and setcps", "loopatcps": "use loopAt, and setcps", "compressSpan": "use .compress", "focus": "use .compress", "focusSpan": "use .compress", "ribbonSpan": "",
	"chooseInWith": "use choose", "chooseIn": "use choose", "choose2": "", "choose2With": "", "chooseWith": "use choose", "wchooseWith": "use wchoose", "randrun": "use irand", "randL": "", "brakBy": "", "euclidOff": "", "euclidOffLegato": "", "euclidFull": "", "bjork": "use .euclid",
	"nest": "", "stutter": "use .ply", "rolledby": "", "sew": "use .mask", "stitch": "use .mask", "euclidish": "use .euclid", "eish": "use .euclid", "polyTouch": "",
	"FX": "", "worklet": "", "sendMIDI": "",
}

// meant is what people and models write for functions that have another name.
var meant = map[string]string{
	"reverb": "room", "volume": "gain", "amp": "gain", "vol": "gain", "lowpass": "lpf", "highpass": "hpf", "bandpass": "bpf", "lowPass": "lpf", "filter": "lpf", "reverse": "rev",
	"bpm": "setcpm", "setbpm": "setcpm", "setBpm": "setcpm", "setBPM": "setcpm", "setTempo": "setcpm", "tempo": "setcpm", "instrument": "s", "sample": "s", "synth": "s", "wave": "s", "notes": "note", "pitch": "note", "repeat": "ply", "delayTime": "delaytime", "delayFeedback": "delayfeedback", "echoTime": "delaytime",
	"reverbSize": "size", "roomSize": "roomsize", "q": "lpq", "res": "resonance", "pingpong": "delay", "distortion": "distort", "overdrive": "distort", "parallel": "stack", "layerWith": "layer",
	"shift": "late", "rotate": "early", "length": "clip", "map": "apply", "probability": "degradeBy", "maybe": "sometimes", "chance": "sometimesBy", "concat": "cat", "chain": "cat", "random": "rand",
}

// names looks at every name of the code before anything is worked out, so that all that are wrong are told at once.
func (r *reader) names(tree []js.Statement) {
	var known *scope
	for _, s := range tree {
		r.node(s.Expr, known)
		if s.Constant != "" {
			known = &scope{known, s.Constant, nil}
		}
	}
}

func (r *reader) node(n *js.Node, known *scope) {
	if n == nil {
		return
	}
	switch n.Kind {
	case js.Mini:
		if _, err := mini.Parse(n.Text); err != nil {
			m := err.(*mini.Error)
			r.problem(n.Inner+m.Offset, m.Message, m.Hint)
		}
	case js.Name:
		if _, ok := known.find(n.Text); !ok && !isGlobal(n.Text) {
			r.unknown(n, "", globalNames())
		}
	case js.Member:
		if n.Of.Kind == js.Member && isOp(n.Of.Text) && isHow(n.Text) {
			break
		}
		if !isMethod(n.Text) {
			r.unknown(n, ".", methodNames())
		}
	case js.Arrow:
		for _, p := range n.Params {
			known = &scope{known, p, nil}
		}
		for _, s := range n.Block {
			r.node(s.Expr, known)
			if s.Constant != "" {
				known = &scope{known, s.Constant, nil}
			}
		}
		r.node(n.Body, known)
	}
	r.node(n.Of, known)
	for _, a := range n.Args {
		r.node(a, known)
	}
}

func (r *reader) unknown(n *js.Node, dot string, candidates []string) {
	if hint, ok := uncovered[n.Text]; ok {
		r.problem(n.Offset, dot+n.Text+" is Strudel, but it is not covered here", hint)
		return
	}
	near, ok := meant[n.Text]
	if !ok {
		near = vocab.Like(n.Text, candidates)
	}
	switch {
	case near == "setcpm":
		r.problem(n.Offset, "there is no "+dot+n.Text, "write setcpm(120/4) for 120 beats a minute in bars of 4, on a line of its own")
	case near != "":
		r.problem(n.Offset, "there is no "+dot+n.Text, "did you mean "+dot+near+"?")
	case dot == "" && vocab.Sound(n.Text) != vocab.Unknown:
		r.problem(n.Offset, "there is no "+n.Text, `sounds are texts: write s("`+n.Text+`")`)
	default:
		if _, isNote := pattern.NoteNumber(n.Text); isNote && dot == "" {
			r.problem(n.Offset, "there is no "+n.Text, `notes are texts: write note("`+n.Text+`")`)
			return
		}
		r.problem(n.Offset, "there is no "+dot+n.Text, "")
	}
}

func isOp(name string) bool { _, ok := pattern.Ops[name]; return ok }

func isHow(name string) bool {
	switch pattern.How(strings.ToLower(name)) {
	case pattern.In, pattern.Out, pattern.Mix, pattern.Squeezed, pattern.SqueezeOut, pattern.ResetEach, pattern.Restarted, pattern.PolyHow:
		return true
	}
	return false
}

func isGlobal(name string) bool {
	if _, ok := vocab.Controls()[name]; ok {
		return true
	}
	_, constant := constants[name]
	_, global := globals[name]
	_, method := methods[name]
	return constant || global || method || isOp(name)
}

func isMethod(name string) bool {
	if _, ok := vocab.Controls()[name]; ok {
		return true
	}
	_, global := globals[name]
	_, method := methods[name]
	if alone[name] {
		return method
	}
	return method || isOp(name) || visual[strings.TrimPrefix(name, "_")] || global
}

func globalNames() []string {
	return slices.Concat(methodNames(), slices.Collect(maps.Keys(constants)))
}

func methodNames() []string {
	return slices.Concat(slices.Collect(maps.Keys(vocab.Controls())), slices.Collect(maps.Keys(methods)), slices.Collect(maps.Keys(globals)), slices.Collect(maps.Keys(pattern.Ops)))
}

// heard notes the names of sounds and drum machines that a call has.
func (e *evaluation) heard(n *js.Node, name string) {
	bank := name == "bank"
	if !bank && name != "s" && name != "sound" {
		return
	}
	texts := n.Args
	if len(texts) == 0 && n.Of.Kind == js.Member {
		texts = []*js.Node{n.Of.Of}
	}
	for _, t := range texts {
		switch t.Kind {
		case js.Mini:
			if tree, err := mini.Parse(t.Text); err == nil {
				for _, a := range tree.Atoms {
					e.song.sounds = append(e.song.sounds, word{a.Text, t.Inner + a.Offset, bank})
				}
			}
		case js.Text:
			e.song.sounds = append(e.song.sounds, word{t.Text, t.Inner, bank})
		}
	}
}

// soundNames looks at the names of sounds. Code that loads samples of its own may name any.
func (r *reader) soundNames(s *Song) {
	for _, w := range s.sounds {
		switch {
		case s.loads:
		case w.bank:
			if !vocab.Bank(w.text) {
				r.named(w, "there is no drum machine "+quote(w.text), vocab.BankLike(w.text))
			}
		default:
			switch vocab.Sound(w.text) {
			case vocab.Unknown:
				r.named(w, "there is no sound "+quote(w.text), vocab.SoundLike(w.text))
			case vocab.Loadable:
				r.problem(w.offset, "the sound "+quote(w.text)+" is not loaded", "write samples('github:tidalcycles/dirt-samples') first, or use another sound")
			}
		}
	}
}

func (r *reader) named(w word, message, near string) {
	hint := ""
	if near != "" {
		hint = "did you mean " + quote(near) + "?"
	}
	r.problem(w.offset, message, hint)
}

func quote(s string) string { return `"` + s + `"` }
