package probe

import "strings"

// readChallenge makes a Challenge of the answer to GET /v2/.
func readChallenge(a *answered) *Challenge {
	c := &Challenge{Answer: answeredBy(a), HTTP: a.HTTP}
	c.Denied, c.DeniedIP = parseDenied(a.Status, a.full)
	for _, ch := range parseChallenges(strings.Join(a.header.Values("Www-Authenticate"), ", ")) {
		if c.Scheme == "" || strings.EqualFold(ch.scheme, "Bearer") {
			c.Scheme, c.Realm, c.Service = ch.scheme, redactText(ch.params["realm"]), ch.params["service"]
		}
		if strings.EqualFold(ch.scheme, "Bearer") {
			c.Scheme = "Bearer"
			break
		}
	}
	return c
}
