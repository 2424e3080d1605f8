package claude

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Nobody waits for ever, what was kept is forgotten, and so is who went first.
func TestBeginningsHaveAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b beginnings
		key := [32]byte{1}
		waited := 0
		enter := func() (*turn, time.Duration) {
			begin := time.Now()
			turn := b.enter(context.Background(), key, func() { waited++ })
			return turn, time.Since(begin)
		}
		first, _ := enter()
		if _, d := enter(); d != patience {
			t.Errorf("it waited %v for one that is never answered", d)
		}
		first.answered(true)
		first.over()
		time.Sleep(keptFor - time.Second)
		late, d := enter()
		if d != 0 || late.first != nil {
			t.Errorf("it is kept, but a call waited %v", d)
		}
		late.answered(true) // which keeps it longer
		time.Sleep(keptFor - time.Second)
		if again, _ := enter(); again.first != nil {
			t.Error("what is used is kept longer")
		}
		time.Sleep(keptFor)
		if again, _ := enter(); again.first == nil {
			t.Error("what is not used is forgotten")
		}
		if waited != 1 {
			t.Errorf("%d waited", waited)
		}
		for i := range 3 * maxBeginnings {
			key = [32]byte{2, byte(i), byte(i >> 8)}
			turn, _ := enter()
			turn.answered(true)
			time.Sleep(time.Second)
		}
		if len(b.late) > maxBeginnings+1 {
			t.Errorf("%d beginnings are remembered", len(b.late))
		}
	})
}
