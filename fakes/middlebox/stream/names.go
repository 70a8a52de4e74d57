package stream

import "strings"

// MatchName reports whether name is one of patterns, without regard to case or
// a trailing dot. "*.azurecr.io" matches every name below azurecr.io at any
// depth, not azurecr.io itself; "*" matches every name.
// https://learn.microsoft.com/azure/firewall/rule-processing
func MatchName(patterns []string, name string) bool {
	name = canonical(name)
	for _, p := range patterns {
		if p == "*" {
			return true
		}
		if p = canonical(p); p == name && name != "" {
			return true
		}
		if suffix, ok := strings.CutPrefix(p, "*"); ok && strings.HasPrefix(suffix, ".") &&
			len(name) > len(suffix) && strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func canonical(name string) string {
	return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(name)), ".")
}
