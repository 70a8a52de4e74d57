//go:build linux

package netns

import (
	"fmt"

	"github.com/google/nftables/expr"
)

// count adds up the packets that the rules of a name have matched, in all
// generations. found is false if no rule of the present one has the name.
func (r *ruleset) count(name string) (packets uint64, found bool, err error) {
	now, err := r.read()
	if err != nil {
		return 0, false, err
	}
	n, found := now[name]
	return n + r.before[name], found, nil
}

// carryCounters keeps what the present generation has counted.
func (r *ruleset) carryCounters() error {
	now, err := r.read()
	if err != nil {
		return err
	}
	for name, n := range now {
		r.before[name] += n
	}
	return nil
}

// read gives the counters of the present generation by name. Rules come back in
// the order in which they were added.
func (r *ruleset) read() (map[string]uint64, error) {
	counts := map[string]uint64{}
	for _, c := range r.chains {
		names := r.names[c.Name]
		rules, err := r.conn.GetRules(r.table, c)
		if err != nil {
			return nil, fmt.Errorf("reading the counters of chain %s: %w", c.Name, err)
		}
		if len(rules) != len(names) {
			return nil, fmt.Errorf("chain %s has %d rules, %d were written", c.Name, len(rules), len(names))
		}
		for i, rule := range rules {
			if names[i] == "" {
				continue
			}
			counts[names[i]] += counterOf(rule.Exprs)
		}
	}
	return counts, nil
}

func counterOf(exprs []expr.Any) uint64 {
	for _, e := range exprs {
		if c, ok := e.(*expr.Counter); ok {
			return c.Packets
		}
	}
	return 0
}
