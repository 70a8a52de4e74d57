package registry

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// refreshUser is the user name that goes with a refresh token as password:
// https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
const refreshUser = "00000000-0000-0000-0000-000000000000"

// authorize checks that a request holds grants, and challenges it otherwise.
func (h *handler) authorize(w http.ResponseWriter, r *request, need []grant) bool {
	if r.cfg.Open {
		return h.authorizeOpen(w, r, need)
	}
	header := r.Header.Get("Authorization")
	scheme, value, _ := strings.Cut(header, " ")
	switch strings.ToLower(scheme) {
	case "":
		challenge(w, r, need, "")
		return false
	case "bearer":
		claims, err := h.reg.signer.verify(strings.TrimSpace(value), grantAccess, audiences(r), h.reg.now())
		if err != nil {
			challenge(w, r, need, "invalid_token")
			return false
		}
		r.identity = claims.Subject
		if !covers(claims.Access, need) {
			challenge(w, r, need, "insufficient_scope")
			return false
		}
		return true
	case "basic":
		// The service takes Basic on every path, not only for tokens:
		// https://github.com/Azure/acr/blob/main/docs/Token-BasicAuth.md
		if user, password, ok := r.BasicAuth(); ok {
			if _, ok := h.login(r, user, password); ok {
				return true
			}
		}
	}
	challenge(w, r, need, "invalid_token")
	return false
}

// audiences are the service names that a token for this request may be for.
func audiences(r *request) []string { return []string{r.cfg.LoginServer, r.host} }

// login checks a user name and password, or a refresh token in its place. The
// subject is who it is for.
func (h *handler) login(r *request, user, password string) (subject string, ok bool) {
	if user == refreshUser {
		c, err := h.reg.signer.verify(password, grantRefresh, audiences(r), h.reg.now())
		if err != nil {
			return "", false
		}
		r.identity = c.Subject
		return c.Subject, true
	}
	r.identity = user
	want, known := r.cfg.Users[user]
	return user, known && want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 1
}

// challenge is the 401 of the service: RFC 6750 section 3 with no blank after
// commas, since Azure CLI splits there; a scope and a detail array when the
// path names a resource (docs/fidelity.md, registry HTTP).
func challenge(w http.ResponseWriter, r *request, need []grant, reason string) {
	value := `Bearer realm="https://` + r.host + `/oauth2/token",service="` + r.host + `"`
	var scopes []string
	type detail struct {
		Type   string `json:"Type"`
		Name   string `json:"Name"`
		Action string `json:"Action"`
	}
	var details []detail
	for _, g := range need {
		scopes = append(scopes, g.String())
		for _, a := range g.Actions {
			details = append(details, detail{g.Type, g.Name, a})
		}
	}
	if len(scopes) > 0 {
		value += `,scope="` + strings.Join(scopes, " ") + `"`
	}
	if reason != "" {
		value += `,error="` + reason + `"`
	}
	w.Header().Set("Www-Authenticate", value)
	e := &apiError{status: http.StatusUnauthorized, code: "UNAUTHORIZED",
		message: "authentication required, visit https://aka.ms/acr/authorization for more information."}
	if details != nil {
		e.detail = details
	}
	e.write(w)
}
