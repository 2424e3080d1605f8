package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/sqlite"
	"github.com/slopstudios/slop/runtime/store/storetest"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "state", "store.db")) })
}
