//go:build !unix

package check_test

import "time"

var origin = time.Now()

// spent is the time since the tests began.
func spent() time.Duration { return time.Since(origin) }
