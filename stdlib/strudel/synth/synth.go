// Package synth plays a score: oscillators, noise, recordings that it makes itself, the effects that Strudel documents, and a limiter, mixed to 16-bit
// stereo. It is written from general knowledge of signal processing.
//
// The same score gives the same bytes, on every machine.
package synth

import (
	"context"
	"fmt"
	"math"

	"github.com/slopstudios/slop/stdlib/strudel/score"
)

// MaxVoices is how many notes may sound at once: far more than ears tell apart, few enough that a render goes faster than the music.
const MaxVoices = 400

// maxOrbits bounds the memory of echoes and rooms. Strudel's own default of orbits is fewer.
const maxOrbits = 16

// Sound is what was played.
type Sound struct {
	WAV     []byte       // the whole file
	Unheard []string     // what of the score is not heard: names of controls, and sounds that nothing stands for
	Peaks   []score.Peak // one for every frame of the picture
}

// MaxPeaks is how fine Peaks are.
const MaxPeaks = 1200

// band is what plays.
type band struct {
	cps        float64
	sounds     map[string]instrument
	recordings map[recordingKey][]float32
	recorded   int // frames in recordings
	buses      [maxOrbits]*bus
}

type recordingKey struct {
	sound, bank string
	variant     int
	key         float64
}

// maxRecorded is how many frames of recordings are kept; what is evicted is made anew when it is played again.
const maxRecorded = 400 * Rate

// Render plays a score. It ends soon after ctx does, with its error.
func Render(ctx context.Context, s *score.Score) (*Sound, error) {
	b := &band{cps: s.CPS, sounds: map[string]instrument{}, recordings: map[recordingKey][]float32{}}
	for i := range s.Notes {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if n := &s.Notes[i]; b.sounds[n.Sound].level == 0 {
			if in, ok := instrumentOf(n); ok {
				b.sounds[n.Sound] = in
			}
		}
	}
	out := &Sound{Unheard: unheard(s, b.sounds)}
	total := frames(s.Seconds)
	wav, samples := newWAV(total)
	out.Peaks = make([]score.Peak, min(MaxPeaks, total))
	cuts := cutFrames(s)

	var playing []*voice
	w := &workspace{}
	next := 0
	var left, right [block]float64
	for at := 0; at < total; at += block {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for ; next < len(s.Notes) && frames(s.Notes[next].Start) < at+block; next++ {
			n := &s.Notes[next]
			in, ok := b.sounds[n.Sound]
			if !ok && !n.Keyed {
				continue
			}
			if !ok {
				in = basics["triangle"]
			}
			if next%64 == 63 {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
			}
			if score.Drum(n.Sound) {
				in, _ = instrumentOf(n) // its bank and variant are its own
			}
			v := b.newVoice(n, in, cuts[next])
			if v.end <= v.start {
				continue
			}
			if len(playing) == MaxVoices {
				return nil, fmt.Errorf("at second %.1f more than %d notes sound at once: play less, or let notes end sooner (clip, release)", n.Start, MaxVoices)
			}
			b.bus(v.orbit).settle(n, s.CPS)
			playing = append(playing, v)
		}
		kept := playing[:0]
		for _, v := range playing {
			v.sound(w, b.bus(v.orbit), max(v.start-at, 0))
			if v.start+v.at < v.end {
				kept = append(kept, v)
			}
		}
		clear(playing[len(kept):])
		playing = kept
		left, right = [block]float64{}, [block]float64{}
		for _, bus := range b.buses {
			if bus != nil {
				bus.finish(&left, &right)
			}
		}
		for i := range min(block, total-at) {
			fade := 1.0
			if rest := total - at - i; rest < ending {
				fade = float64(rest) / ending // a sound that goes on would end in a click
			}
			l, r := limit(float64(left[i]*fade)), limit(float64(right[i]*fade))
			frame := at + i
			put(samples[4*frame:], l, r)
			p := &out.Peaks[frame*len(out.Peaks)/total]
			p.Low, p.High = min(p.Low, float32(min(l, r))), max(p.High, float32(max(l, r)))
		}
	}
	out.WAV = wav
	return out, nil
}

// ending is how many frames fade at the end.
const ending = 441

// limit is the soft limiter: what is below the knee stays as it is, what is above comes nearer and nearer to 1.
func limit(x float64) float64 {
	const knee = 0.7
	switch {
	case x > knee:
		return knee + float64((1-knee)*soft((x-knee)/(1-knee)))
	case x < -knee:
		return -knee - float64((1-knee)*soft((-x-knee)/(1-knee)))
	}
	return x
}

func (b *band) orbit(n float64) int {
	i := int(min(max(n, 0), 1<<20))
	return i % maxOrbits
}

func (b *band) bus(orbit int) *bus {
	if b.buses[orbit] == nil {
		b.buses[orbit] = &bus{}
	}
	return b.buses[orbit]
}

// recording gives the recording of a sound at a key, and makes it when it is asked for the first time.
func (b *band) recording(n *score.Note, key float64, in instrument) []float32 {
	k := recordingKey{n.Sound, n.Bank, n.Variant, key}
	if !in.fixed {
		k.bank, k.variant = "", 0
	}
	if data, ok := b.recordings[k]; ok {
		return data
	}
	data := in.record(hertz(key))
	if b.recorded += len(data); b.recorded > maxRecorded {
		clear(b.recordings)
		b.recorded = len(data)
	}
	b.recordings[k] = data
	return data
}

// cutFrames are, for each note with a cut group, the frame at which the next of its group begins; -1 for all others.
func cutFrames(s *score.Score) []int {
	ends := make([]int, len(s.Notes))
	upcoming := map[float64]int{}
	for i := len(s.Notes) - 1; i >= 0; i-- {
		ends[i] = -1
		n := &s.Notes[i]
		group, ok := n.Number("cut")
		if !ok || group == 0 {
			continue
		}
		if at, ok := upcoming[group]; ok {
			ends[i] = at
		}
		upcoming[group] = frames(n.Start)
	}
	return ends
}

// quantise gives a sample of 16 bits.
func quantise(x float64) int16 { return int16(math.Floor(float64(x*32767) + 0.5)) }
