package engine

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestAlarmsRingInOrder(t *testing.T) {
	var a alarms
	base := time.Unix(0, 0)
	var set []*alarm
	for i := range 5000 {
		set = append(set, a.set(&alarm{at: base.Add(time.Duration(rand.IntN(100)) * time.Second), flight: &flight{}}))
		if i%3 != 0 {
			a.cancel(set[rand.IntN(len(set))])
		}
	}
	on := 0
	for _, al := range set {
		if !al.off {
			on++
		}
	}
	var last *alarm
	for rung := 0; ; rung++ {
		al := a.due(base.Add(time.Hour))
		if al == nil {
			if rung != on {
				t.Errorf("%d alarms rang, %d were on", rung, on)
			}
			return
		}
		if al.off || last != nil && (al.at.Before(last.at) || al.at.Equal(last.at) && al.number < last.number) {
			t.Fatalf("%+v rang after %+v", al, last)
		}
		last = al
		a.cancel(al) // it has rung: nothing to cancel
	}
}

// A map of 100,000 calls with a timeout sets as many alarms; those of calls that have ended must not pile up until their time.
func TestAlarmsThatAreOffDoNotPileUp(t *testing.T) {
	var a alarms
	for range 100_000 {
		al := a.set(&alarm{at: time.Unix(1, 0), flight: &flight{}})
		a.cancel(al)
		a.cancel(al)
	}
	if len(a.heap) > 2*manyOff {
		t.Errorf("%d alarms that are off are kept", len(a.heap))
	}
	if _, ok := a.next(); ok || len(a.heap) != 0 || a.off != 0 {
		t.Errorf("after the last: %v, %d kept, %d off", ok, len(a.heap), a.off)
	}
}
