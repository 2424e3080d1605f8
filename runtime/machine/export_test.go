package machine

// SetLimit lowers the number of nodes one fact may set going.
func (m *Machine) SetLimit(n int) { m.limit = n }
