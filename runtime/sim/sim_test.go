package sim_test

import (
	"bufio"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/sim"
)

// play tells one story. Even seeds are plain.
func play(t *testing.T, seed uint64) {
	t.Helper()
	plain := seed%2 == 0
	script := sim.Script(rand.New(rand.NewPCG(seed, 0)), plain)
	p, diags := lang.Compile(source.NewFile("main.slop", script), langtest.Files(langtest.Scope(), sim.Files()))
	for _, d := range diags {
		if d.Severity == diag.Error {
			t.Fatalf("seed %d: line %d: %s %s\n%s", seed, d.File.Pos(d.Span.Start).Line, d.Code, d.Message, script)
		}
	}
	if err := sim.Play(sim.Story{Plan: p, Seed: seed, Plain: plain}); err != nil {
		t.Fatalf("%v\n%s\nAdd the seed to testdata/seeds/machine.", err, script)
	}
}

// TestSeeds plays the stories that once went wrong.
func TestSeeds(t *testing.T) {
	f, err := os.Open("../../testdata/seeds/machine")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		word, _, _ := strings.Cut(lines.Text(), " ")
		if word == "" || word == "//" {
			continue
		}
		seed, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		play(t, seed)
	}
}

// TestStories plays new ones: for a few seconds, or, with SLOP_LONG, for ten minutes. SLOP_SEED plays one.
func TestStories(t *testing.T) {
	if s := os.Getenv("SLOP_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		play(t, seed)
		return
	}
	length, first := 4*time.Second, uint64(1)
	if os.Getenv("SLOP_LONG") != "" {
		length, first = 10*time.Minute, uint64(time.Now().Unix())*1000
	}
	count := 0
	for end := time.Now().Add(length); time.Now().Before(end) && !t.Failed(); count++ {
		play(t, first+uint64(count))
	}
	t.Logf("%d stories from seed %d", count, first)
}
