package probe

import "strings"

// authChallenge is one challenge of a WWW-Authenticate header.
type authChallenge struct {
	scheme string            // as sent, e.g. "Bearer"
	params map[string]string // names in lower case
}

// parseChallenges reads WWW-Authenticate (RFC 9110 section 11.6.1): several
// challenges may share one field, and quoted values hold commas. What does not
// parse is left out.
func parseChallenges(header string) []authChallenge {
	var found []authChallenge
	s := header
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return found
		}
		word, rest := token(s)
		if word == "" { // not a token: skip to the next element
			_, s, _ = strings.Cut(s[1:], ",")
			continue
		}
		after := strings.TrimLeft(rest, " \t")
		if strings.HasPrefix(after, "=") && len(found) > 0 {
			var value string
			value, s = parameter(strings.TrimLeft(after[1:], " \t"))
			last := found[len(found)-1].params
			if _, twice := last[strings.ToLower(word)]; !twice {
				last[strings.ToLower(word)] = value
			}
			continue
		}
		found = append(found, authChallenge{scheme: word, params: map[string]string{}})
		s = rest
		if strings.HasPrefix(after, "=") { // a parameter without a scheme
			found = found[:len(found)-1]
			_, s = parameter(strings.TrimLeft(after[1:], " \t"))
		}
	}
}

// token reads a token of RFC 9110 section 5.6.2.
func token(s string) (word, rest string) {
	i := strings.IndexFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

// parameter reads a token or a quoted string.
func parameter(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ",")
		return strings.TrimSpace(value), rest
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "" // the closing quote is missing
}
