package synth

import "encoding/binary"

// WAVType is the media type of a sound.
const WAVType = "audio/wav"

const wavHeader = 44

// newWAV makes an empty file of so many frames, 16-bit stereo, and the part of it that holds the samples.
func newWAV(frames int) (file, samples []byte) {
	size := frames * 4
	file = make([]byte, 0, wavHeader+size)
	le := binary.LittleEndian
	file = append(file, "RIFF"...)
	file = le.AppendUint32(file, uint32(wavHeader-8+size))
	file = append(file, "WAVEfmt "...)
	file = le.AppendUint32(file, 16)
	file = le.AppendUint16(file, 1) // plain samples
	file = le.AppendUint16(file, 2)
	file = le.AppendUint32(file, Rate)
	file = le.AppendUint32(file, Rate*4)
	file = le.AppendUint16(file, 4)
	file = le.AppendUint16(file, 16)
	file = append(file, "data"...)
	file = le.AppendUint32(file, uint32(size))
	file = file[:wavHeader+size]
	return file, file[wavHeader:]
}

func put(at []byte, left, right float64) {
	binary.LittleEndian.PutUint16(at, uint16(quantise(left)))
	binary.LittleEndian.PutUint16(at[2:], uint16(quantise(right)))
}
