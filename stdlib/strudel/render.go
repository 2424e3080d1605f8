package strudel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"unicode"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
	"github.com/slopstudios/slop/stdlib/strudel/midi"
	"github.com/slopstudios/slop/stdlib/strudel/picture"
	"github.com/slopstudios/slop/stdlib/strudel/score"
	"github.com/slopstudios/slop/stdlib/strudel/song"
	"github.com/slopstudios/slop/stdlib/strudel/synth"
)

// Bounds of a render. Ten minutes of sound are 106 MB.
const (
	defaultSeconds = 16
	maxSeconds     = 600
	maxPlayed      = 100_000 // cycles
	maxBPM         = 999
	beats          = 4 // in a cycle, where a tempo is given in beats
)

// rendering are the places for renders at a time, over all runs of the process: one processor stays free for everything else.
var rendering = make(chan struct{}, max(runtime.GOMAXPROCS(0)-1, 1))

func renderSignature() types.Signature {
	text := types.Type{Kind: types.String}
	number := types.Type{Kind: types.Float, Optional: true}
	file := types.Type{Kind: types.File}
	return types.Signature{
		Name: "strudel.render", Use: "strudel.render", Doc: "Plays Strudel code into a sound file, with a picture of it.",
		Params: []types.Param{
			codeParam(),
			{Name: "seconds", Type: number, Doc: "the length of the sound, up to 600; 16 when it is not given"},
			{Name: "bpm", Type: number, Doc: "the tempo, four beats to a cycle, whatever the code says; else the code's, or 120"},
			{Name: "format", Type: types.Type{Kind: types.Enum, Values: []string{"wav", "midi"}, Optional: true}, Doc: "what audio is: a WAV file, or a MIDI file and no sound is made"},
			{Name: "name", Type: types.Type{Kind: types.String, Optional: true}, Doc: "the name of the files, without an ending; tune when it is not given"},
		},
		Primary: "code", Text: types.Code,
		Result: types.Type{Kind: types.Record, Fields: []types.Field{
			{Name: "audio", Type: file, Doc: "the sound, 44,100 Hz, 16-bit stereo"},
			{Name: "midi", Type: file, Doc: "the notes, a track a sound"},
			{Name: "picture", Type: file, Doc: "the notes and the wave, as SVG"},
			{Name: "seconds", Type: types.Type{Kind: types.Float}},
			{Name: "events", Type: types.Type{Kind: types.Int}, Doc: "how many sounds begin in that time"},
			{Name: "unrendered", Type: types.Type{Kind: types.List, Elem: &text}, Doc: "controls and sounds of the code that are not heard in audio"},
		}},
		Effect: types.Read, Kind: types.Call, Free: true, Idempotent: true, Version: "1",
	}
}

// order is what a call of render asks for.
type order struct {
	code    string
	seconds float64
	bpm     float64 // 0: the code's
	format  string
	name    string
}

func readOrder(c *agent.Call) (o order, err error) {
	text := c.Text
	if text == nil {
		text = c.Args["code"]
	}
	code, ok := text.(string)
	if !ok {
		return o, errors.New("the code must be a text without secrets")
	}
	o = order{code: code, seconds: defaultSeconds, format: "wav", name: "tune"}
	if v := c.Args["seconds"]; v != nil {
		if o.seconds = number(v); !(o.seconds > 0 && o.seconds <= maxSeconds) {
			return o, fmt.Errorf("seconds must be more than 0 and at most %d, not %v", maxSeconds, v)
		}
	}
	if v := c.Args["bpm"]; v != nil {
		if o.bpm = number(v); !(o.bpm >= 1 && o.bpm <= maxBPM) {
			return o, fmt.Errorf("bpm must be between 1 and %d, not %v", maxBPM, v)
		}
	}
	if v, ok := c.Args["format"].(string); ok {
		if o.format = v; v != "wav" && v != "midi" {
			return o, fmt.Errorf(`format is "wav" or "midi", not %q`, v)
		}
	}
	if v, ok := c.Args["name"].(string); ok {
		o.name = plainName(v)
	}
	return o, nil
}

func number(v any) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case float64:
		return v
	}
	return math.NaN()
}

// plainName makes a file's name of any text: no folders, no ending of ours twice, nothing unseen.
func plainName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	for _, ending := range []string{".wav", ".mid", ".midi", ".svg"} {
		name = strings.TrimSuffix(name, ending)
	}
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || strings.ContainsRune(`:*?"<>|`, r) {
			return '-'
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	runes := []rune(strings.Trim(name, ". "))
	if len(runes) == 0 {
		return "tune"
	}
	return string(runes[:min(len(runes), 60)])
}

// render plays code. It is one call of a script, so it runs on a goroutine of its own already; it waits its turn, so that many renders do not take the
// processors from everything else, and it stops within a block of frames when ctx ends.
func render(ctx context.Context, c *agent.Call) agent.Reply {
	o, err := readOrder(c)
	if err != nil {
		return agent.Fail(run.Failure, err.Error())
	}
	select {
	case rendering <- struct{}{}:
		defer func() { <-rendering }()
	case <-ctx.Done():
		return stopped(ctx)
	}
	s, err := o.score(ctx)
	if err == nil {
		c.Emit(agent.Progress{Note: fmt.Sprintf("plays %d notes in %g seconds", len(s.Notes), o.seconds)})
		var value map[string]any
		if value, err = o.play(ctx, s); err == nil {
			return agent.Reply{Value: value}
		}
	}
	if ctx.Err() != nil {
		return stopped(ctx)
	}
	return agent.Fail(run.Failure, err.Error())
}

func stopped(ctx context.Context) agent.Reply {
	reply, _ := outcome.Ended(ctx)
	return reply
}

// score reads the code and asks it what plays.
func (o order) score(ctx context.Context) (*score.Score, error) {
	s, problems := song.Read(o.code)
	if s == nil {
		return nil, fmt.Errorf("this code does not play: %s", told(problems))
	}
	cps := s.CPS
	if o.bpm > 0 {
		cps = o.bpm / (60 * beats)
	}
	if !(cps > 0) {
		return nil, errors.New("the code stands still: its tempo is 0")
	}
	cycles := math.Ceil(float64(o.seconds * cps))
	if cycles > maxPlayed {
		return nil, fmt.Errorf("%.0f cycles in %g seconds are too many, at most %d are played: slow the tempo down, or ask for fewer seconds", cycles, o.seconds, maxPlayed)
	}
	all, err := s.Beginnings(ctx, int64(cycles))
	if err != nil {
		return nil, err
	}
	return score.Read(all, cps, o.seconds), nil
}

// play makes the files.
func (o order) play(ctx context.Context, s *score.Score) (map[string]any, error) {
	notes, unheard := midi.Write(s)
	asMIDI := file(o.name+".mid", midi.Type, notes)
	audio := asMIDI
	var peaks []score.Peak
	if o.format == "wav" {
		sound, err := synth.Render(ctx, s)
		if err != nil {
			return nil, err
		}
		audio, unheard, peaks = file(o.name+".wav", synth.WAVType, sound.WAV), sound.Unheard, sound.Peaks
	}
	list := make([]any, len(unheard))
	for i, name := range unheard {
		list[i] = name
	}
	return map[string]any{
		"audio": audio, "midi": asMIDI, "picture": file(o.name+".svg", picture.Type, picture.Draw(s, peaks)),
		"seconds": o.seconds, "events": len(s.Notes), "unrendered": list,
	}, ctx.Err()
}

func file(name, media string, data []byte) types.FileValue {
	sum := sha256.Sum256(data)
	return types.FileValue{Name: name, Size: int64(len(data)), Type: media, SHA256: hex.EncodeToString(sum[:]), Data: data}
}
