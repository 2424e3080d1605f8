package synth_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/score"
	"github.com/slopstudios/slop/stdlib/strudel/synth"
)

type controls = map[string]any

// event is one that begins at a quarter of a cycle and lasts so many quarters.
func event(at, length int64, c controls) pattern.Event {
	span := pattern.Span{Begin: pattern.Fraction(at, 4), End: pattern.Fraction(at+length, 4)}
	return pattern.Event{Whole: &span, Part: span, Value: c}
}

// play renders events at a cycle a second, and gives the left and right samples, from -1 to 1.
func play(t testing.TB, seconds float64, events ...pattern.Event) (left, right []float64) {
	t.Helper()
	s, err := synth.Render(context.Background(), score.Read(events, 1, seconds))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Unheard) > 0 {
		t.Fatalf("not heard: %v", s.Unheard)
	}
	return samples(t, s.WAV)
}

// samples reads a WAV file, by its chunks.
func samples(t testing.TB, wav []byte) (left, right []float64) {
	t.Helper()
	le := binary.LittleEndian
	if len(wav) < 12 || string(wav[:4]) != "RIFF" || string(wav[8:12]) != "WAVE" || int(le.Uint32(wav[4:]))+8 != len(wav) {
		t.Fatal("this is no WAV file")
	}
	formatted := false
	for rest := wav[12:]; len(rest) >= 8; {
		name, size := string(rest[:4]), int(le.Uint32(rest[4:]))
		body := rest[8 : 8+size]
		switch name {
		case "fmt ":
			if le.Uint16(body) != 1 || le.Uint16(body[2:]) != 2 || le.Uint32(body[4:]) != 44100 || le.Uint16(body[14:]) != 16 {
				t.Fatalf("the format is %x", body)
			}
			formatted = true
		case "data":
			if !formatted {
				t.Fatal("samples before the format")
			}
			for i := 0; i < size; i += 4 {
				left = append(left, float64(int16(le.Uint16(body[i:])))/32768)
				right = append(right, float64(int16(le.Uint16(body[i+2:])))/32768)
			}
		}
		rest = rest[8+size+size%2:]
	}
	return left, right
}

// power is how much of a frequency is in a signal (Goertzel), as the amplitude of a sine.
func power(x []float64, hz float64) float64 {
	return windowed(hann(x), hz)
}

// hann fades a signal in and out, so that what is before and after it does not count.
func hann(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v * (0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(x))))
	}
	return out
}

func windowed(x []float64, hz float64) float64 {
	c := 2 * math.Cos(2*math.Pi*hz/synth.Rate)
	var s1, s2 float64
	for _, v := range x {
		s1, s2 = v+c*s1-s2, s1
	}
	return 4 * math.Sqrt(max(s1*s1+s2*s2-c*s1*s2, 0)) / float64(len(x))
}

// peak is the frequency between two that a signal has most of.
func peak(x []float64, from, to float64) (hz float64) {
	best := 0.0
	x = hann(x)
	for f := from; f <= to; f *= 1.002 {
		if p := windowed(x, f); p > best {
			best, hz = p, f
		}
	}
	return hz
}

func loudness(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum / float64(max(len(x), 1)))
}

func second(x []float64, from, to float64) []float64 {
	return x[int(from*synth.Rate):int(to*synth.Rate)]
}

func TestANoteHasItsPitch(t *testing.T) {
	for _, sound := range []string{
		"sine", "triangle", "sawtooth", "square", "supersaw", "piano", "gm_flute", "gm_acoustic_guitar_nylon", "gm_church_organ", "gm_epiano1", "gm_violin",
		"gm_trumpet", "gm_clarinet", "gm_harpsichord", "marimba", "harp",
	} {
		left, _ := play(t, 1, event(0, 4, controls{"s": sound, "note": 69.0}))
		if hz := peak(second(left, 0.1, 0.6), 380, 510); math.Abs(hz-440) > 3 {
			t.Errorf("a4 of %s is at %.1f Hz", sound, hz)
		}
	}
	for _, c := range []controls{{"note": "a4"}, {"freq": 440.0}, {"note": 57.0, "octave": 4.0}, {"note": "a", "octave": 4.0}, {"note": "a3", "s": "piano", "speed": 2.0}} {
		if hz := peak(second(first(play(t, 1, event(0, 4, c))), 0.1, 0.6), 380, 510); math.Abs(hz-440) > 2 {
			t.Errorf("%v is at %.1f Hz", c, hz)
		}
	}
}

func first(left, _ []float64) []float64 { return left }

func TestARestIsSilent(t *testing.T) {
	left, right := play(t, 2, event(0, 1, controls{"s": "sawtooth", "note": 60.0}), event(4, 1, controls{"s": "square", "note": 60.0}))
	for _, x := range [][]float64{left, right} {
		if l := loudness(second(x, 0.02, 0.2)); l < 0.03 {
			t.Errorf("the note is not heard: %f", l)
		}
		if slices.Max(second(x, 0.4, 0.99)) != 0 || slices.Min(second(x, 0.4, 0.99)) != 0 {
			t.Error("the rest is not silent")
		}
		if l := loudness(second(x, 1.02, 1.2)); l < 0.03 {
			t.Errorf("the second note is not heard: %f", l)
		}
	}
}

func TestEverySoundOfTheKitIsHeard(t *testing.T) {
	heard := map[string]string{}
	for _, sound := range strings.Fields("bd sd rim cp hh oh cr rd ht mt lt cb cl sh tb perc fx") {
		for _, bank := range []string{"", "RolandTR808", "RolandTR909", "LinnDrum"} {
			c := controls{"s": sound, "bank": bank}
			s, err := synth.Render(context.Background(), score.Read([]pattern.Event{event(0, 1, c)}, 1, 0.5))
			if err != nil {
				t.Fatal(err)
			}
			left, _ := samples(t, s.WAV)
			if l := loudness(second(left, 0, 0.1)); l < 0.01 {
				t.Errorf("%s of %q has a loudness of %f", sound, bank, l)
			}
			sum := sha256.Sum256(s.WAV)
			if other := heard[string(sum[:])]; other != "" {
				t.Errorf("%s of %q sounds like %s", sound, bank, other)
			}
			heard[string(sum[:])] = sound + " of " + bank
		}
	}
}

// Each control does to the sound what it is documented to do.
func TestControls(t *testing.T) {
	note := func(c controls) (left, right []float64) {
		full := controls{"s": "sawtooth", "note": 45.0} // 110 Hz
		for k, v := range c {
			full[k] = v
		}
		return play(t, 1.5, event(0, 4, full))
	}
	plain, _ := note(nil)
	at := func(c controls, from, to float64, measure func([]float64) float64) float64 {
		left, _ := note(c)
		return measure(second(left, from, to))
	}
	tone := func(hz float64) func([]float64) float64 { return func(x []float64) float64 { return power(x, hz) } }
	less := func(what string, a, b float64) {
		t.Helper()
		if !(a < b) {
			t.Errorf("%s: %f is not below %f", what, a, b)
		}
	}
	full := second(plain, 0.2, 0.8)
	less("lpf takes what is high", at(controls{"cutoff": 300.0}, 0.2, 0.8, tone(2200)), 0.05*power(full, 2200))
	less("lpf leaves what is low", 0.8*power(full, 110), at(controls{"lpf": 1000.0}, 0.2, 0.8, tone(110)))
	less("hpf takes what is low", at(controls{"hcutoff": 2000.0}, 0.2, 0.8, tone(110)), 0.05*power(full, 110))
	less("bpf takes both", at(controls{"bandf": 1100.0, "bandq": 10.0}, 0.2, 0.8, tone(110))+at(controls{"bandf": 1100.0, "bandq": 10.0}, 0.2, 0.8, tone(4400)), 0.1*power(full, 110))
	less("lpq rings", 2*at(controls{"lpf": 1100.0}, 0.2, 0.8, tone(1100)), at(controls{"lpf": "1100:20"}, 0.2, 0.8, tone(1100)))
	less("24db is steeper", at(controls{"lpf": 500.0, "ftype": "24db"}, 0.2, 0.8, tone(2200)), 0.5*at(controls{"lpf": 500.0}, 0.2, 0.8, tone(2200)))
	less("lpenv opens", at(controls{"lpf": 200.0}, 0.01, 0.1, tone(1100)), 0.5*at(controls{"lpf": 200.0, "lpenv": 4.0, "lpdecay": 0.5}, 0.01, 0.1, tone(1100)))
	less("gain", at(controls{"gain": 0.25}, 0.2, 0.8, loudness), 0.3*loudness(full))
	less("velocity", at(controls{"velocity": 0.25}, 0.2, 0.8, loudness), 0.3*loudness(full))
	less("attack", at(controls{"attack": 0.8}, 0, 0.2, loudness), 0.3*loudness(second(plain, 0, 0.2)))
	less("sustain", at(controls{"decay": 0.1, "sustain": 0.1}, 0.3, 0.8, loudness), 0.3*loudness(full))
	less("release", 0.02, at(controls{"release": 0.9}, 1.05, 1.4, loudness))
	less("clip", at(controls{"clip": 0.25}, 0.4, 0.9, loudness), 0.001)
	less("delay", 0.01, at(controls{"clip": 0.1, "delay": 0.5, "delaytime": 0.5}, 0.5, 0.6, loudness))
	less("no delay", at(controls{"clip": 0.1}, 0.5, 0.6, loudness), 0.0001)
	less("room", 0.002, at(controls{"clip": 0.1, "room": 0.8, "roomsize": 4.0}, 0.5, 1, loudness))
	less("distort brings harmonics", 4*at(controls{"s": "sine"}, 0.2, 0.8, tone(330)), at(controls{"s": "sine", "distort": 2.0}, 0.2, 0.8, tone(330)))
	less("shape brings harmonics", 4*at(controls{"s": "sine"}, 0.2, 0.8, tone(330)), at(controls{"s": "sine", "shape": 0.7}, 0.2, 0.8, tone(330)))
	less("fm brings harmonics", 4*at(controls{"s": "sine"}, 0.2, 0.8, tone(220)), at(controls{"s": "sine", "fm": 2.0}, 0.2, 0.8, tone(220)))
	less("noise is between the harmonics", 4*power(full, 6095), at(controls{"noise": 1.0}, 0.2, 0.8, tone(6095)))
	less("tremolo", 3*spread(full), spreadOf(note(controls{"tremolo": 4.0})))
	less("vowel", at(controls{"vowel": "i"}, 0.2, 0.8, tone(1100)), 0.5*at(controls{"vowel": "a"}, 0.2, 0.8, tone(1100)))
	if hz := peak(second(first(note(controls{"s": "sine", "penv": 12.0, "pdecay": 2.0})), 0, 0.1), 100, 240); hz < 190 {
		t.Errorf("penv begins at %f Hz", hz)
	}
	if a, b := peak(second(first(note(controls{"s": "sine", "vib": 1.0, "vibmod": 2.0})), 0.2, 0.3), 80, 140), 110.0; a < b+5 {
		t.Errorf("vib bends to %f Hz", a)
	}
	for name, v := range map[string]float64{"crush": 3, "coarse": 8, "phaserrate": 2, "unison": 3, "detune": 0.5, "pw": 0.2, "hpenv": 3, "noise": 0.3} {
		c := controls{name: v}
		switch name {
		case "unison", "detune":
			c["s"] = "supersaw"
		case "pw":
			c["s"] = "pulse"
		case "hpenv":
			c["hpf"] = 300.0
		}
		without := controls{}
		for k, v := range c {
			if k != name {
				without[k] = v
			}
		}
		if slices.Equal(first(note(c)), first(note(without))) {
			t.Errorf("%s changes nothing", name)
		}
	}
	left, right := note(controls{"pan": 0.0})
	less("pan to the left", loudness(right), 0.01*loudness(left))
	left, right = note(controls{"pan": 1.0})
	less("pan to the right", loudness(left), 0.01*loudness(right))
}

// spread is how much the loudness of a sound goes up and down.
func spread(x []float64) float64 {
	lo, hi := math.Inf(1), 0.0
	for i := 0; i+882 <= len(x); i += 882 {
		l := loudness(x[i : i+882])
		lo, hi = min(lo, l), max(hi, l)
	}
	return hi - lo
}

func spreadOf(left, _ []float64) float64 { return spread(second(left, 0.2, 0.8)) }

func TestRecordings(t *testing.T) {
	whole, _ := play(t, 1, event(0, 1, controls{"s": "oh"}))
	for name, c := range map[string]controls{
		"speed": {"speed": 2.0}, "reversed": {"speed": -1.0}, "begin": {"begin": 0.3}, "end": {"end": 0.2}, "variant": {"n": 2.0}, "clip": {"clip": 0.2}, "cycle": {"unit": "c", "speed": 2.0},
	} {
		c["s"] = "oh"
		if other, _ := play(t, 1, event(0, 1, c)); slices.Equal(whole, other) || loudness(other) == 0 {
			t.Errorf("%s changes nothing, or is not heard", name)
		}
	}
	if loud := loudness(second(first(play(t, 1, event(0, 1, controls{"s": "oh", "clip": 0.2}))), 0.1, 0.9)); loud > 0.0001 {
		t.Errorf("clip does not end a recording: %f", loud)
	}
	cut, _ := play(t, 1, event(0, 1, controls{"s": "oh", "cut": 1.0}), event(1, 1, controls{"s": "hh", "cut": 1.0, "gain": 0.0}))
	if loud := loudness(second(cut, 0.27, 0.9)); loud > 0.0001 {
		t.Errorf("the hi-hat is open after it was closed: %f", loud)
	}
	if loud := loudness(second(whole, 0.27, 0.4)); loud < 0.001 {
		t.Errorf("an open hi-hat rings on: %f", loud)
	}
}

func TestWhatIsNotHeardIsSaid(t *testing.T) {
	s, err := synth.Render(context.Background(), score.Read([]pattern.Event{
		event(0, 1, controls{"s": "sawtooth", "squiz": 2.0, "compressor": -20.0, "speed": 2.0, "color": "red", "cutoff": "500:3:1:7"}),
		event(1, 1, controls{"s": "myvoice"}),
		event(2, 1, controls{"s": "gm_flute", "vowel": "q"}),
	}, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"compressor", "cutoff (its part 4)", "sound myvoice", "speed of sawtooth", "squiz", "vowel q"}
	if !slices.Equal(s.Unheard, want) {
		t.Errorf("not heard: %q, not %q", s.Unheard, want)
	}
}

// tune is four voices, as a musician writes them.
func tune(cycles int64) (events []pattern.Event) {
	for c := range cycles {
		for i := range int64(4) {
			events = append(events, event(4*c+i, 1, controls{"s": []string{"bd", "sd"}[i%2]}), event(4*c+i, 1, controls{"s": "hh", "gain": 0.5, "pan": 0.7}))
			events = append(events, event(4*c+i, 1, controls{"s": "sawtooth", "note": float64(36 + 3*(i%3)), "lpf": 600.0, "lpq": 5.0, "release": 0.1}))
		}
		for _, key := range []float64{60, 63, 67} {
			events = append(events, event(4*c, 4, controls{"s": "triangle", "note": key + float64(c%3), "room": 0.5, "delay": 0.25}))
		}
	}
	return events
}

// The bytes are the same on every run and, as far as Go's arithmetic allows, everywhere: a change of this sum is a change of how everything sounds.
func TestTheSameBytesEverywhere(t *testing.T) {
	const want = "0d0ba345050405f4556bc7bc7ee83f2041634b175f4e56aa34348952dd4ef5e2"
	events := tune(2)
	for i, c := range []controls{
		{"s": "piano"}, {"s": "gm_koto"}, {"s": "gm_overdriven_guitar"}, {"s": "glockenspiel"}, {"s": "supersaw", "detune": 0.3}, {"s": "gm_choir_aahs"}, {"s": "gm_flute"}, {"s": "gm_oboe"},
		{"s": "sine", "fm": 3.0, "fmh": 1.5, "fmdecay": 0.1}, {"s": "square", "crush": 4.0, "coarse": 3.0, "vib": 6.0}, {"s": "pulse", "pw": 0.2, "distort": 1.0, "phaser": 2.0},
		{"s": "sawtooth", "lpf": 400.0, "lpenv": 4.0, "ftype": "24db"}, {"s": "pink", "bpf": "900:5", "tremolo": 8.0}, {"s": "white", "hpf": 3000.0, "penv": 12.0}, {"s": "cr", "speed": -0.7},
	} {
		c["note"], c["freq"] = 50.0+float64(i), 200.5+float64(50*i)
		events = append(events, event(int64(i%8), 2, c))
	}
	s, err := synth.Render(context.Background(), score.Read(events, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	again, err := synth.Render(context.Background(), score.Read(events, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.WAV, again.WAV) {
		t.Error("two renders of one score differ")
	}
	if sum := sha256.Sum256(s.WAV); hex.EncodeToString(sum[:]) != want {
		t.Errorf("the sum is %x on %s", sum, runtime.GOARCH)
	}
}

func TestItIsNeverTooLoud(t *testing.T) {
	var events []pattern.Event
	for i := range int64(200) {
		events = append(events, event(i%4, 4, controls{"s": "supersaw", "note": float64(30 + i%40), "gain": 4.0}))
	}
	left, _ := play(t, 1, events...)
	if top := slices.Max(left); top > 1 || top < 0.9 {
		t.Errorf("the loudest sample is %f", top)
	}
}

func TestManyVoices(t *testing.T) {
	var events []pattern.Event
	for i := range int64(1000) {
		events = append(events, event(0, 4, controls{"s": "sine", "note": float64(i % 90)}))
	}
	_, err := synth.Render(context.Background(), score.Read(events, 1, 1))
	if err == nil || !strings.Contains(err.Error(), "notes sound at once") {
		t.Errorf("a thousand notes at once: %v", err)
	}
}

// Hostile numbers make noise at worst.
func TestHostileControls(t *testing.T) {
	values := []any{1e300, -1e300, 0.0, -1.0, math.Inf(1), math.NaN(), 1e-300, "x", "1:2:3:4", []any{1.0, "y", []any{}}, true, nil}
	names := append(synth.Known(), "s", "n", "note", "bank", "speed", "begin", "end", "loop", "unit")
	var events []pattern.Event
	for i, name := range names {
		for j, v := range values {
			for _, s := range []string{"supersaw", "oh", "piano"} {
				events = append(events, event(int64((i+j)%40), 1, controls{"s": s, "note": 60.0, "lpf": 900.0, "penv": 1.0, "clip": 0.1, "release": 0.01, name: v}))
			}
		}
	}
	s, err := synth.Render(context.Background(), score.Read(events, 2, 5))
	if err != nil && !strings.Contains(err.Error(), "at once") {
		t.Fatal(err)
	}
	if err == nil {
		samples(t, s.WAV)
	}
}

// counting is a context that ends when it has been asked so often.
type counting struct {
	context.Context
	left int
}

func (c *counting) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A render asks before each block whether it is still wanted, so it ends within the time of one block, whatever the length of the piece.
func TestCancel(t *testing.T) {
	ctx := &counting{Context: context.Background(), left: 50}
	_, err := synth.Render(ctx, score.Read(tune(600), 1, 600))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if ctx.left != -1 {
		t.Errorf("it went on after it was told, and asked %d times more", -1-ctx.left)
	}
}

// BenchmarkRender holds 16 seconds of four voices against real time: x-real-time is how many times faster it goes.
func BenchmarkRender(b *testing.B) {
	s := score.Read(tune(16), 1, 16)
	for b.Loop() {
		if _, err := synth.Render(context.Background(), s); err != nil {
			b.Fatal(err)
		}
	}
	perRender := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(16/perRender.Seconds(), "x-real-time")
	// The yardstick: a plain sine by the library for each sample of the piece.
	begun, sum := time.Now(), 0.0
	for i := range 16 * synth.Rate {
		sum += math.Sin(float64(i) * 0.06)
	}
	if sum == 42 {
		b.Log("a coincidence")
	}
	b.ReportMetric(float64(perRender)/float64(time.Since(begun)), "x-one-sine")
}

// What lies above half the rate folds back as tones that nobody wrote; the oscillators keep it down.
func TestLittleAliasing(t *testing.T) {
	for _, c := range []struct {
		sound    string
		harmonic float64 // that is there
		folded   float64 // what a wave without care would have nearly as much of: the sixth of a saw, the seventh of a square
	}{{"sawtooth", 10000, 44100 - 30000}, {"square", 15000, 44100 - 35000}} {
		x := second(first(play(t, 1, event(0, 4, controls{"s": c.sound, "freq": 5000.0}))), 0.1, 0.9)
		if there, folded := power(x, c.harmonic), power(x, c.folded); folded > 0.1*there {
			t.Errorf("%s: %.5f folds back beside %.5f", c.sound, folded, there)
		}
	}
}
