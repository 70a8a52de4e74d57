package entra

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// deviceLife and devicePoll are what the service answers.
	// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
	deviceLife = 15 * time.Minute
	devicePoll = 5
	// refreshLife: https://learn.microsoft.com/entra/identity-platform/refresh-tokens
	refreshLife = 90 * 24 * time.Hour
	// maxSessions bounds what a client can make the server keep.
	maxSessions = 10_000
)

// session is a sign-in of a user, begun or done.
type session struct {
	app, scope, resource string
	user                 string // of a device code: empty until approved
	declined             bool
	code                 string // what the user types
	expires              time.Time
}

// sessions holds sign-ins by device code and by refresh token.
type sessions struct {
	mu      sync.Mutex
	devices map[string]*session
	tokens  map[string]*session
}

// secretText is a random string of n bytes' worth. crypto/rand.Read cannot fail.
func secretText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// userCode has nine characters that cannot be mistaken for each other, as the
// service's have.
func userCode() string {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	b := make([]byte, 9)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// begin makes a device code for a sign-in; not ok when there are too many.
func (s *sessions) begin(app, scope, resource string, now time.Time) (device, user string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	prune(s.devices, now)
	if len(s.devices) >= maxSessions {
		return "", "", false
	}
	if s.devices == nil {
		s.devices = map[string]*session{}
	}
	device, user = secretText(64), userCode()
	s.devices[device] = &session{app: app, scope: scope, resource: resource, code: user, expires: now.Add(deviceLife)}
	return device, user, true
}

// decide ends the wait for a user code.
func (s *sessions) decide(code, user string, declined bool, now time.Time) bool {
	code = strings.ToUpper(strings.TrimSpace(code))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.code == code && d.user == "" && !d.declined && now.Before(d.expires) {
			d.user, d.declined = user, declined
			return true
		}
	}
	return false
}

// poll looks a device code up, and takes it away once its tokens can be handed out.
func (s *sessions) poll(device string, now time.Time) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[device]
	if d == nil {
		return session{}, false
	}
	if d.user != "" || d.declined {
		delete(s.devices, device)
	}
	return *d, true
}

// refresh makes a refresh token. Older ones of the same sign-in stay good, as
// Entra does not revoke them either.
func (s *sessions) refresh(of session, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tokens) >= maxSessions {
		prune(s.tokens, now)
	}
	if len(s.tokens) >= maxSessions || s.tokens == nil {
		s.tokens = map[string]*session{} // whoever had one signs in again
	}
	token := "1." + secretText(96)
	of.expires = now.Add(refreshLife)
	s.tokens[token] = &of
	return token
}

func (s *sessions) of(token string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[token]; t != nil {
		return *t, true
	}
	return session{}, false
}

func prune(m map[string]*session, now time.Time) {
	for k, v := range m {
		if now.After(v.expires) {
			delete(m, k)
		}
	}
}

// Approve signs a user in on the device that shows a code, as the user would in
// a browser.
func (t *Tenant) Approve(code, user string) error {
	u := t.directory().users[strings.ToLower(user)]
	if u == nil {
		return fmt.Errorf("approving device code %s: tenant %s has no user %q", code, t.ID(), user)
	}
	if !t.sessions.decide(code, u.Name, false, t.now()) {
		return fmt.Errorf("approving device code %s: %w", code, errNoCode)
	}
	return nil
}

// Decline is the user's refusal.
func (t *Tenant) Decline(code string) error {
	if !t.sessions.decide(code, "", true, t.now()) {
		return fmt.Errorf("declining device code %s: %w", code, errNoCode)
	}
	return nil
}

var errNoCode = errors.New("no device waits for it")

// redeemRefreshToken is RFC 6749 section 6.
func (h handler) redeemRefreshToken(req *tokenRequest) (any, *failure) {
	token := req.form.Get("refresh_token")
	if token == "" {
		return nil, missing("refresh_token")
	}
	if f := h.checkPublic(req); f != nil {
		return nil, f
	}
	s, ok := h.t.sessions.of(token)
	switch {
	case !ok:
		return nil, fail(http.StatusBadRequest, "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
	case !req.now.Before(s.expires):
		return nil, fail(http.StatusBadRequest, "invalid_grant", 700082, "The refresh token has expired due to inactivity. The token was inactive for %d.00:00:00.", int(refreshLife.Hours()/24))
	case !strings.EqualFold(s.app, req.app) && (publicClients[strings.ToLower(s.app)] == "" || publicClients[strings.ToLower(req.app)] == ""):
		return nil, fail(http.StatusBadRequest, "invalid_grant", 700005, "Provided Authorization Code is intended to use against other tenant or application, thus rejected.")
	}
	u := h.t.directory().users[strings.ToLower(s.user)]
	if u == nil {
		return nil, fail(http.StatusBadRequest, "invalid_grant", 50034, "The user account %s does not exist in the %s directory.", s.user, h.t.ID())
	}
	if req.v1 && req.form.Get("resource") == "" {
		req.form.Set("resource", s.resource)
	}
	return h.userAnswer(req, u, req.form.Get("scope"), s.scope)
}
