package synth_test

import (
	"context"
	"strings"
	"testing"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/score"
	"github.com/slopstudios/slop/stdlib/strudel/synth"
)

// names are sounds that Strudel documents, of all kinds.
var names = strings.Fields(`
bd sd rim cp hh oh cr rd ht mt lt sh cb tb perc misc fx
sine sin sawtooth saw square sqr triangle tri pulse supersaw sbd white pink brown crackle z_sawtooth z_sine z_square z_tan z_noise
gm_piano gm_epiano1 gm_harpsichord gm_clavinet gm_celesta gm_glockenspiel gm_music_box gm_vibraphone gm_marimba gm_xylophone gm_tubular_bells gm_dulcimer gm_drawbar_organ
gm_percussive_organ gm_rock_organ gm_church_organ gm_reed_organ gm_accordion gm_harmonica gm_bandoneon gm_acoustic_guitar_nylon gm_electric_guitar_jazz
gm_electric_guitar_muted gm_overdriven_guitar gm_distortion_guitar gm_guitar_harmonics gm_acoustic_bass gm_electric_bass_finger gm_fretless_bass gm_slap_bass_1
gm_synth_bass_1 gm_violin gm_viola gm_cello gm_contrabass gm_tremolo_strings gm_pizzicato_strings gm_orchestral_harp gm_timpani gm_string_ensemble_1 gm_synth_strings_1
gm_choir_aahs gm_voice_oohs gm_synth_choir gm_orchestra_hit gm_trumpet gm_trombone gm_tuba gm_muted_trumpet gm_french_horn gm_brass_section gm_synth_brass_1
gm_soprano_sax gm_oboe gm_english_horn gm_bassoon gm_clarinet gm_piccolo gm_flute gm_recorder gm_pan_flute gm_blown_bottle gm_shakuhachi gm_whistle gm_ocarina
gm_lead_1_square gm_lead_5_charang gm_lead_8_bass_lead gm_pad_new_age gm_pad_warm gm_pad_sweep gm_fx_rain gm_fx_sci_fi gm_sitar gm_banjo gm_shamisen gm_koto gm_kalimba
gm_bagpipe gm_fiddle gm_shanai gm_tinkle_bell gm_agogo gm_steel_drums gm_woodblock gm_taiko_drum gm_melodic_tom gm_synth_drum gm_reverse_cymbal gm_guitar_fret_noise
gm_breath_noise gm_seashore gm_bird_tweet gm_telephone gm_helicopter gm_applause gm_gunshot
piano piano1 steinway kawai fmpiano clavisynth casio crow insect wind jazz metal east space numbers num
agogo anvil balafon balafon_hard ballwhistle bassdrum1 belltree bongo brakedrum cabasa cajon clap clash clave conga cowbell dantranh darbuka didgeridoo fingercymbal
flexatone folkharp framedrum glockenspiel gong guiro handbells handchimes harmonica harp hihat kalimba marimba marktrees ocarina oceandrum organ_4inch organ_full
pipeorgan_loud psaltery_bow ratchet recorder_alto_stacc sax saxello shaker_large siren slapstick sleighbells slitdrum snare_hi strumstick super64 sus_cymbal tambourine2
timpani tom2_mallet trainwhistle triangles tubularbells vibraphone vibraslap wineglass woodblock xylophone_hard_ff mridangam_ardha RolandTR909_bd 808bd`)

func TestEveryDocumentedSoundIsHeard(t *testing.T) {
	var events []pattern.Event
	for i, name := range names {
		c := controls{"s": name, "clip": 1.0}
		if !score.Drum(name) {
			c["note"] = 60.0
		}
		events = append(events, event(int64(i), 1, c))
	}
	s, err := synth.Render(context.Background(), score.Read(events, 1, float64(len(names))/4+1))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Unheard) > 0 {
		t.Errorf("not heard: %q", s.Unheard)
	}
	left, _ := samples(t, s.WAV)
	for i, name := range names {
		from := float64(i) / 4
		l := loudness(second(left, from, from+0.25))
		if l < 0.008 || l > 0.45 {
			t.Errorf("%s has a loudness of %.3f", name, l)
		}
	}
}
