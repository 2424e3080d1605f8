package vocab

import (
	"slices"
	"strings"
	"sync"
)

// drums are the parts of a drum machine.
var drums = fields("bd sd rim cp hh oh cr rd ht mt lt sh cb tb perc misc fx brk")

// banks are the drum machines of tidal-drum-machines.
var banks = fields(`
AJKPercusyn AkaiLinn AkaiMPC60 AkaiXR10 AlesisHR16 AlesisSR16 BossDR110 BossDR220 BossDR55 BossDR550 CasioRZ1 CasioSK1 CasioVL1 DoepferMS404 EmuDrumulator
EmuModular EmuSP12 KorgDDM110 KorgKPR77 KorgKR55 KorgKRZ KorgM1 KorgMinipops KorgPoly800 KorgT3 Linn9000 LinnDrum LinnLM1 LinnLM2 MFB512 MPC1000
MoogConcertMateMG1 OberheimDMX RhodesPolaris RhythmAce RolandCompurhythm1000 RolandCompurhythm78 RolandCompurhythm8000 RolandD110 RolandD70 RolandDDR30
RolandJD990 RolandMC202 RolandMC303 RolandMT32 RolandR8 RolandS50 RolandSH09 RolandSystem100 RolandTR505 RolandTR606 RolandTR626 RolandTR707 RolandTR727
RolandTR808 RolandTR909 SakataDPM48 SequentialCircuitsDrumtracks SequentialCircuitsTom SergeModular SimmonsSDS400 SimmonsSDS5 SoundmastersR88
UnivoxMicroRhythmer12 ViscoSpaceDrum XdrumLM8953 YamahaRM50 YamahaRX21 YamahaRX5 YamahaRY30 YamahaTG33`)

// synths need no samples.
var synths = fields(`sine sin sawtooth saw square sqr triangle tri user pulse supersaw sbd white pink brown crackle bytebeat
z_sawtooth z_sine z_square z_tan z_noise zzfx`)

// gm are the instruments of General MIDI.
var gm = fields(`
gm_piano gm_epiano1 gm_epiano2 gm_harpsichord gm_clavinet gm_celesta gm_glockenspiel gm_music_box gm_vibraphone gm_marimba gm_xylophone gm_tubular_bells
gm_dulcimer gm_drawbar_organ gm_percussive_organ gm_rock_organ gm_church_organ gm_reed_organ gm_accordion gm_harmonica gm_bandoneon
gm_acoustic_guitar_nylon gm_acoustic_guitar_steel gm_electric_guitar_jazz gm_electric_guitar_clean gm_electric_guitar_muted gm_overdriven_guitar
gm_distortion_guitar gm_guitar_harmonics gm_acoustic_bass gm_electric_bass_finger gm_electric_bass_pick gm_fretless_bass gm_slap_bass_1 gm_slap_bass_2
gm_synth_bass_1 gm_synth_bass_2 gm_violin gm_viola gm_cello gm_contrabass gm_tremolo_strings gm_pizzicato_strings gm_orchestral_harp gm_timpani
gm_string_ensemble_1 gm_string_ensemble_2 gm_synth_strings_1 gm_synth_strings_2 gm_choir_aahs gm_voice_oohs gm_synth_choir gm_orchestra_hit gm_trumpet
gm_trombone gm_tuba gm_muted_trumpet gm_french_horn gm_brass_section gm_synth_brass_1 gm_synth_brass_2 gm_soprano_sax gm_alto_sax gm_tenor_sax
gm_baritone_sax gm_oboe gm_english_horn gm_bassoon gm_clarinet gm_piccolo gm_flute gm_recorder gm_pan_flute gm_blown_bottle gm_shakuhachi gm_whistle
gm_ocarina gm_lead_1_square gm_lead_2_sawtooth gm_lead_3_calliope gm_lead_4_chiff gm_lead_5_charang gm_lead_6_voice gm_lead_7_fifths gm_lead_8_bass_lead
gm_pad_new_age gm_pad_warm gm_pad_poly gm_pad_choir gm_pad_bowed gm_pad_metallic gm_pad_halo gm_pad_sweep gm_fx_rain gm_fx_soundtrack gm_fx_crystal
gm_fx_atmosphere gm_fx_brightness gm_fx_goblins gm_fx_echoes gm_fx_sci_fi gm_sitar gm_banjo gm_shamisen gm_koto gm_kalimba gm_bagpipe gm_fiddle gm_shanai
gm_tinkle_bell gm_agogo gm_steel_drums gm_woodblock gm_taiko_drum gm_melodic_tom gm_synth_drum gm_reverse_cymbal gm_guitar_fret_noise gm_breath_noise
gm_seashore gm_bird_tweet gm_telephone gm_helicopter gm_applause gm_gunshot`)

// samples are what the player loads before anybody asks: pianos, the VCSL instruments, and a few of Dirt-Samples.
var samples = fields(`
piano piano1 steinway kawai fmpiano clavisynth casio crow insect wind jazz metal east space numbers num
agogo anvil balafon balafon_hard balafon_soft ballwhistle bassdrum1 bassdrum2 belltree bongo brakedrum cabasa cajon clap clash clash2 clave conga cowbell
dantranh dantranh_tremolo dantranh_vibrato darbuka didgeridoo fingercymbal flexatone folkharp framedrum glockenspiel gong gong2 guiro handbells handchimes
harmonica harmonica_soft harmonica_vib harp hihat kalimba kalimba2 kalimba3 kalimba4 kalimba5 marimba marktrees ocarina ocarina_small ocarina_small_stacc
ocarina_vib oceandrum organ_4inch organ_8inch organ_full pipeorgan_loud pipeorgan_loud_pedal pipeorgan_quiet pipeorgan_quiet_pedal psaltery_bow
psaltery_pluck psaltery_spiccato ratchet recorder_alto_stacc recorder_alto_sus recorder_alto_vib recorder_bass_stacc recorder_bass_sus recorder_bass_vib
recorder_soprano_stacc recorder_soprano_sus recorder_tenor_stacc recorder_tenor_sus recorder_tenor_vib sax sax_stacc sax_vib saxello saxello_stacc
saxello_vib shaker_large shaker_small siren slapstick sleighbells slitdrum snare_hi snare_low snare_modern snare_rim strumstick super64 super64_acc
super64_vib sus_cymbal sus_cymbal2 tambourine tambourine2 timpani timpani2 timpani_roll tom2_mallet tom2_stick tom_mallet tom_rim tom_stick trainwhistle
triangles tubularbells tubularbells2 vibraphone vibraphone_bowed vibraphone_soft vibraslap wineglass wineglass_slow woodblock xylophone_hard_ff
xylophone_hard_pp xylophone_medium_ff xylophone_medium_pp xylophone_soft_ff xylophone_soft_pp
mridangam_ardha mridangam_chaapu mridangam_dhi mridangam_dhin mridangam_dhum mridangam_gumki mridangam_ka mridangam_ki mridangam_na mridangam_nam
mridangam_ta mridangam_tha mridangam_thom`)

// dirt are the sets of Dirt-Samples, which code must load itself.
var dirt = fields(`
808 808bd 808cy 808hc 808ht 808lc 808lt 808mc 808mt 808oh 808sd 909 ab ade ades2 ades3 ades4 alex alphabet amencutup armora arp arpy auto baa baa2 bass bass0
bass1 bass2 bass3 bassdm bassfoo battles bend bev bin birds birds3 bleep blip blue bottle breaks125 breaks152 breaks157 breaks165 breath bubble can cc chin
circus clak click clubkick co coins control cosmicg d db diphone diphone2 dist dork2 dorkbot dr dr2 dr55 dr_few drum drumtraks e electro1 em2 erk f feel
feelfx fest fire flick fm foo future gab gabba gabbaloud gabbalouder glasstap glitch glitch2 gretsch gtr h hand hardcore hardkick haw hc hh27 hit hmm ho
hoover house if ifdrums incoming industrial invaders jungbass jungle juno jvbass kicklinn koy kurt latibro led less lighter linnhats made made2 mash mash2
miniyeah monsterb moog mouth mp3 msg mute newnotes noise noise2 notes oc off outdoor pad padlong pebbles peri pluck popkick print proc procshort psr rave
rave2 ravemono realclaps reverbkick rm rs seawolf sequential sf sheffield short sid sitar sn speakspell speech speechless speedupdown stab stomp subroc3d
sugar sundance tabla tabla2 tablex tacscan tech techno tink tok toys trump ul ulgab uxay v voodoo wobble world xmas yeah`)

// SoundKind is what is known of the name of a sound.
type SoundKind int

const (
	Unknown SoundKind = iota
	Known
	Loadable // of Dirt-Samples: known once they are loaded
)

// Sound tells what is known of a sound's name.
func Sound(name string) SoundKind {
	switch {
	case knownSounds()[name] || strings.HasPrefix(name, "wt_"):
		return Known
	case dirtSounds()[name]:
		return Loadable
	}
	if machine, drum, ok := strings.Cut(name, "_"); ok && Bank(machine) && slices.Contains(drums(), drum) {
		return Known
	}
	return Unknown
}

var (
	knownSounds = sync.OnceValue(func() map[string]bool { return set(drums(), synths(), gm(), samples()) })
	dirtSounds  = sync.OnceValue(func() map[string]bool { return set(dirt()) })
	knownBanks  = sync.OnceValue(func() map[string]bool { return set(lower(banks()), lower(shortBanks())) })
)

// fields are the words of a text, once somebody asks for them.
func fields(text string) func() []string {
	return sync.OnceValue(func() []string { return strings.Fields(text) })
}

func set(lists ...[]string) map[string]bool {
	all := map[string]bool{}
	for _, list := range lists {
		for _, name := range list {
			all[name] = true
		}
	}
	return all
}

func lower(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToLower(n)
	}
	return out
}

// shortBanks are the machines without their makers, as in TR808.
func shortBanks() []string {
	var out []string
	for _, b := range banks() {
		for _, maker := range strings.Fields("Akai Alesis Boss Casio Doepfer Emu Korg Linn Moog Oberheim Rhodes Roland Sakata SequentialCircuits Serge Simmons Soundmasters Univox Visco Xdrum Yamaha") {
			if short, ok := strings.CutPrefix(b, maker); ok && short != "" {
				out = append(out, short)
			}
		}
	}
	return append(out, "Linn", "DR110", "TR66")
}

// Bank tells whether there is a drum machine of that name, in any case.
func Bank(name string) bool { return knownBanks()[strings.ToLower(name)] }

// SoundLike and BankLike give the name that was probably meant, or "".
func SoundLike(name string) string {
	if meant, ok := plainNames[strings.ToLower(name)]; ok {
		return meant
	}
	if meant := Like(name, keys(knownSounds())); meant != "" {
		return meant
	}
	// "gm_acoustic_grand_piano" and "gm_strings" are near no single name; the last word often is.
	if rest, ok := strings.CutPrefix(name, "gm_"); ok {
		words := strings.Split(rest, "_")
		for i := len(words) - 1; i >= 0; i-- {
			for _, g := range gm() {
				if len(words[i]) > 3 && strings.Contains(g, strings.TrimSuffix(words[i], "s")) {
					return g
				}
			}
		}
	}
	return ""
}

func BankLike(name string) string {
	if meant := Like(name, banks()); meant != "" {
		return meant
	}
	plain := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' || r == '.' {
			return -1
		}
		return r
	}, strings.ToLower(name))
	for _, b := range banks() {
		if plain != "" && strings.Contains(strings.ToLower(b), plain) {
			return b
		}
	}
	return ""
}

// plainNames are what people and models call sounds that have short names.
var plainNames = map[string]string{
	"kick": "bd", "bassdrum": "bd", "bass_drum": "bd", "snare": "sd", "hat": "hh", "hi-hat": "hh", "hh_closed": "hh", "closedhat": "hh", "chh": "hh", "ch": "hh",
	"openhat": "oh", "open_hat": "oh", "ohh": "oh", "hho": "oh", "clp": "cp", "crash": "cr", "ride": "rd", "rimshot": "rim", "tom": "mt", "lowtom": "lt", "hightom": "ht",
	"shaker": "sh", "noise": "white", "sub": "sine", "synth": "sawtooth", "lead": "sawtooth", "guitar": "gm_acoustic_guitar_nylon", "strings": "gm_string_ensemble_1",
	"violin": "gm_violin", "cello": "gm_cello", "flute": "gm_flute", "trumpet": "gm_trumpet", "organ": "gm_drawbar_organ", "choir": "gm_choir_aahs",
	"gm_strings": "gm_string_ensemble_1", "rhodes": "gm_epiano1", "epiano": "gm_epiano1", "gm_acoustic_grand_piano": "gm_piano", "gm_bass": "gm_acoustic_bass", "gm_epiano": "gm_epiano1",
}
