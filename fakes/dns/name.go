package dns

import (
	"fmt"
	"strings"
)

// canonical is a name in lower case without the trailing dot; "" is the root.
func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// below reports whether name is zone or lies below it. Both are canonical.
func below(name, zone string) bool {
	return zone == "" || name == zone || strings.HasSuffix(name, "."+zone)
}

// parent is name without its first label.
func parent(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}

// checkName bounds labels and names (RFC 1035 section 2.3.4).
func checkName(name string) error {
	if name == "" {
		return fmt.Errorf("name is empty")
	}
	if len(name) > 253 {
		return fmt.Errorf("name %q is longer than 253 bytes", name)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsAny(label, "\\\" \t\r\n") {
			return fmt.Errorf("name %q: label %q", name, label)
		}
	}
	return nil
}
