package run

import "time"

// Lease is the right to append to one run. Its token rises with every claim, so that a holder who slept through the end of its lease is recognised.
type Lease struct {
	Run   ID
	Token uint64
	Owner string
	Until time.Time // zero: it does not lapse by time
}
