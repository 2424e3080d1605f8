package hosttest_test

import (
	"testing"

	"github.com/slopstudios/slop/runtime/hosttest"
)

func TestArchives(t *testing.T) { hosttest.Run(t, "../../testdata/spec") }

func TestArchivesShelved(t *testing.T) { hosttest.Shelved(t, "../../testdata/spec") }

func TestDefinitions(t *testing.T) { hosttest.JSON(t, "../../testdata/json") }
