// Package machine is one run in memory: facts go in, wishes come out. It has no clock, dice, goroutine, network or disk.
package machine

// Version of the machine's decisions, recorded in Started.
const Version = 1
