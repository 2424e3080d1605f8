package run

// Add sums two usages. A figure of which a part is unknown is itself marked unknown, and is then a lower bound.
func (u Usage) Add(v Usage) Usage {
	u.Calls += v.Calls
	u.Input += v.Input
	u.Output += v.Output
	u.CacheRead += v.CacheRead
	u.CacheWrite += v.CacheWrite
	u.Tokens = weaker(u.Tokens, v.Tokens)
	u.Cost += v.Cost
	u.CostSource = weaker(u.CostSource, v.CostSource)
	switch {
	case u.Model == "":
		u.Model = v.Model
	case v.Model != "" && v.Model != u.Model:
		u.Model = "several"
	}
	return u
}

// weaker is the source one can rely on least; empty says nothing about its figure and gives way.
func weaker(a, b Source) Source {
	for _, s := range []Source{Unknown, Estimated, Reported} {
		if a == s || b == s {
			return s
		}
	}
	return ""
}

// Add sums two amounts.
func (a Amount) Add(b Amount) Amount {
	return Amount{a.Money + b.Money, a.Tokens + b.Tokens, a.Calls + b.Calls}
}

// Sub takes b from a.
func (a Amount) Sub(b Amount) Amount {
	return Amount{a.Money - b.Money, a.Tokens - b.Tokens, a.Calls - b.Calls}
}

// Spent is what a call that had reserved an amount takes from its budgets: what was reported or estimated, and where nothing is known, all it had
// reserved. An answer out of the cache, or of the origin of a fork, takes nothing.
func (u Usage) Spent(reserved Amount, source string) Amount {
	if source == "cache" || source == Kept {
		return Amount{}
	}
	spent := Amount{Money: u.Cost, Tokens: u.Input + u.Output + u.CacheRead + u.CacheWrite, Calls: reserved.Calls}
	if u.Tokens == Unknown {
		spent.Tokens = max(spent.Tokens, reserved.Tokens)
	}
	if u.CostSource == Unknown {
		spent.Money = max(spent.Money, reserved.Money)
	}
	return spent
}
