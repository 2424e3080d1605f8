package engine

import (
	"container/heap"
	"slices"
	"time"
)

// alarm is something a session does at a time. Exactly one of its targets is set.
type alarm struct {
	at     time.Time
	number uint64 // as they were set: equal times ring in order
	off    bool
	rung   bool
	parked *parked // a wish that is due, or a timer of the machine
	flight *flight // a call whose time, or whose grace, is over
}

// alarms is a heap, the next one first. Alarms that are off fall out when they come up, or all at once when they are most of it.
type alarms struct {
	heap  []*alarm
	count uint64
	off   int // how many in the heap are off
}

// manyOff is how many alarms that are off are worth tidying up for.
const manyOff = 256

func (a *alarms) set(al *alarm) *alarm {
	a.count++
	al.number = a.count
	heap.Push(a, al)
	return al
}

// cancel turns an alarm off; nil is none. It lets go of what the alarm was for.
func (a *alarms) cancel(al *alarm) {
	if al == nil || al.off || al.rung {
		return
	}
	al.off, al.flight, al.parked = true, nil, nil
	if a.off++; a.off > manyOff && a.off > len(a.heap)/2 {
		a.heap = slices.DeleteFunc(a.heap, func(al *alarm) bool { return al.off })
		a.off = 0
		heap.Init(a)
	}
}

// next is the time of the first alarm that is on.
func (a *alarms) next() (time.Time, bool) {
	for len(a.heap) > 0 {
		if !a.heap[0].off {
			return a.heap[0].at, true
		}
		heap.Pop(a)
		a.off--
	}
	return time.Time{}, false
}

// due takes the first alarm that is on and not after now; nil when there is none.
func (a *alarms) due(now time.Time) *alarm {
	at, ok := a.next()
	if !ok || at.After(now) {
		return nil
	}
	al := heap.Pop(a).(*alarm)
	al.rung = true
	return al
}

func (a *alarms) Len() int { return len(a.heap) }
func (a *alarms) Less(i, j int) bool {
	x, y := a.heap[i], a.heap[j]
	if !x.at.Equal(y.at) {
		return x.at.Before(y.at)
	}
	return x.number < y.number
}
func (a *alarms) Swap(i, j int) { a.heap[i], a.heap[j] = a.heap[j], a.heap[i] }
func (a *alarms) Push(x any)    { a.heap = append(a.heap, x.(*alarm)) }
func (a *alarms) Pop() any {
	last := a.heap[len(a.heap)-1]
	a.heap[len(a.heap)-1] = nil
	a.heap = a.heap[:len(a.heap)-1]
	return last
}
