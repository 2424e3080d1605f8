package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
)

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	b.Run("new", func(b *testing.B) {
		for i := range b.N {
			if err := open(b, filepath.Join(dir, fmt.Sprint(b.N, "-", i))).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("old", func(b *testing.B) {
		for range b.N {
			if err := open(b, filepath.Join(dir, "old")).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
