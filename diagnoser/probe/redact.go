package probe

import (
	"net/url"
	"regexp"
	"strings"
)

// Secrets are removed where they would enter the report, so that no later
// stage can print them: Authorization, tokens, SAS signatures, proxy passwords.

var (
	// jwt matches a JSON Web Token (RFC 7519): three base64url parts, the first
	// of which begins with {".
	jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}(\.[A-Za-z0-9_-]*){0,2}`)
	// signature matches the secret parameter of a shared access signature, also
	// with its separators escaped, as HTML and JSON have them.
	signature = regexp.MustCompile(`(?i)((?:^|[?&;"'\s]|\\u0026|amp;)(?:sig|signature|access_token|refresh_token|token|password|client_secret)(?:=|%3D)["']?)[^&\s"'<>\\]+`)
	// member matches secret members of JSON objects.
	member = regexp.MustCompile(`(?i)("(?:access_token|refresh_token|id_token|token|password|client_secret|identitytoken|auth)"\s*:\s*")[^"]*`)
	// credentials matches the value of an Authorization header, and what is too
	// long after its scheme to be a word.
	credentials = regexp.MustCompile(`(?i)(authorization["']?\s*[:=]\s*["']?(?:basic|bearer)\s+|\b(?:basic|bearer)\s+(?:[A-Za-z0-9+/_.~-]{24}))[^\s"',;<>]*`)
	// userinfo matches credentials in a URL.
	userinfo = regexp.MustCompile(`(://)[^/@\s]+@`)
)

const removed = "REDACTED"

// redactText removes what looks like a secret from text of others.
func redactText(s string) string {
	s = jwt.ReplaceAllString(s, removed)
	s = signature.ReplaceAllString(s, "${1}"+removed)
	s = member.ReplaceAllString(s, "${1}"+removed)
	s = credentials.ReplaceAllStringFunc(s, func(m string) string {
		i := strings.LastIndexAny(m, " \t\r\n")
		return m[:i+1] + removed
	})
	return userinfo.ReplaceAllString(s, "${1}")
}

// open are query parameters that are worth showing and never secret.
var open = map[string]bool{"scope": true, "service": true, "n": true, "last": true, "se": true, "sp": true, "sv": true, "sr": true, "spr": true, "regid": true}

// redactURL removes credentials and the values of all query parameters that
// are not known to be open.
func redactURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	c := *u
	c.User, c.Fragment, c.RawFragment = nil, "", ""
	if c.RawQuery != "" {
		q := c.Query()
		for k := range q {
			if !open[strings.ToLower(k)] {
				q[k] = []string{removed}
			}
		}
		c.RawQuery = q.Encode()
	}
	return c.String()
}

// withoutUserinfo removes credentials from a proxy setting as it is written,
// which may be no URL at all.
func withoutUserinfo(s string) string {
	i := strings.LastIndex(s, "@")
	if i < 0 {
		return s
	}
	scheme, rest := "", s
	if j := strings.Index(s, "://"); j >= 0 && j < i {
		scheme, rest = s[:j+3], s[j+3:]
	}
	return scheme + rest[strings.LastIndex(rest, "@")+1:]
}
