package engine

import (
	"container/heap"
	"time"
)

// alarm is something a session does at a time. Exactly one of its targets is set.
type alarm struct {
	at     time.Time
	number uint64 // as they were set: equal times ring in order
	off    bool
	parked *parked // a wish that is due, or a timer of the machine
	flight *flight // a call whose time, or whose grace, is over
	lease  bool    // the lease wants extending
}

// alarms is a heap, the next one first. Alarms that are off fall out when they come up.
type alarms struct {
	heap  []*alarm
	count uint64
}

func (a *alarms) set(al *alarm) *alarm {
	a.count++
	al.number = a.count
	heap.Push(a, al)
	return al
}

// next is the time of the first alarm that is on.
func (a *alarms) next() (time.Time, bool) {
	for len(a.heap) > 0 {
		if !a.heap[0].off {
			return a.heap[0].at, true
		}
		heap.Pop(a)
	}
	return time.Time{}, false
}

// due takes the first alarm that is on and not after now; nil when there is none.
func (a *alarms) due(now time.Time) *alarm {
	at, ok := a.next()
	if !ok || at.After(now) {
		return nil
	}
	return heap.Pop(a).(*alarm)
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
