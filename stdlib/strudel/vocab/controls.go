// Package vocab is the words of Strudel as its documentation lists them: controls, sounds, drum machines, scales, functions. It is data, and the search in it.
package vocab

import (
	"strings"
	"sync"
)

// Control is a named value of a sound. Its Name is what events carry; several parts of a list ("400:5") go to More.
type Control struct {
	Name string
	More []string
}

// Controls are by every name they can be written with. The tables of this package are read when they are first asked for: most programs play nothing.
var Controls = sync.OnceValue(readControls)

func readControls() map[string]Control {
	all := map[string]Control{}
	for line := range strings.Lines(controlTable) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		name, more, _ := strings.Cut(words[0], ":")
		c := Control{Name: name}
		if more != "" {
			c.More = strings.Split(more, ",")
		}
		for _, alias := range words[1:] {
			all[alias] = c
		}
		all[name] = c
	}
	return all
}

// controlTable has a control a line: its name, the controls that further parts of a list go to, and its other names.
const controlTable = `
s:n,gain sound
n
note:n
freq
gain
velocity
postgain
pan
speed
begin
end
loop
loopBegin loopb
loopEnd loope
cut
clip legato
duration dur
attack att
decay dec
sustain sus
release rel
hold
cutoff:resonance,lpenv lpf ctf lp
hcutoff:hresonance,hpenv hpf hp
bandf:bandq,bpenv bpf bp
resonance lpq
hresonance hpq
bandq bpq
vowel
ftype
lpattack lpa
lpdecay lpd
lpsustain lps
lprelease lpr
lpenv lpe
hpattack hpa
hpdecay hpd
hpsustain hps
hprelease hpr
hpenv hpe
bpattack bpa
bpdecay bpd
bpsustain bps
bprelease bpr
bpenv bpe
fanchor
room:size
roomsize rsize size sz
roomfade rfade
roomlp rlp
roomdim rdim
ir:i iresponse
delay:delaytime,delayfeedback
delaytime delayt dt
delayfeedback delayfb dfb
delaysync
orbit
bank
crush
coarse
shape:shapevol
distort:distortvol,distorttype dist
compressor:compressorRatio,compressorKnee,compressorAttack,compressorRelease
compressorKnee
compressorRatio
compressorAttack
compressorRelease
phaserrate:phaserdepth,phasercenter,phasersweep phaser ph
phaserdepth phd
phasercenter phc
phasersweep phs
chorus
fmi:fmh fm
fmh:fmi
vib:vibmod vibrato v
vibmod:vib vmod
detune det
unison
spread
noise
penv
pattack patt
pdecay pdec
psustain psus
prelease prel
pcurve
panchor
tremolo:tremolodepth,tremoloskew,tremolophase trem
tremolosync:tremolodepth,tremoloskew,tremolophase
tremolodepth
tremoloskew
tremolophase
tremoloshape
octave oct
accelerate
unit
squiz
djf
channel
channels
dry
color
label:activeLabel
cps
nudge
midichan
midicmd
midiport
ccn
ccv
midibend
miditouch
progNum
sysexid
sysexdata
degree
mtranspose
ctranspose
harmonic
stepsPerOctave
octaveR
nrpnn
xsdelay
source src
pw:pwrate,pwsweep
pwrate
pwsweep
duckdepth
duckattack
duckonset
duckorbit duck
analyze
fft
waveloss
triode
krush
kcutoff
octer
octersub
octersubsub
ring
ringf
ringdf
freeze
tsdelay
real
imag
enhance
comb
smear
scram
binshift
hbrick
lbrick
stretch
expression
sustainpedal
overgain
overshape
panspan
pansplay
panwidth
panorient
slide
semitone
lock
voice
activeLabel
gate
dictionary
mode:anchor
anchor
offset
octaves
chord
zrand
curve
deltaSlide
pitchJump
pitchJumpTime
znoise
zmod
zcrush
zdelay
byteBeatExpression bbexpr
byteBeatStartTime bbst
wt
warp
warpmode
FXrelease fxr
bus
leslie
lrate
lsize
fmattack
fmdecay
fmsustain
fmenv
fmwave
fmrelease
`
