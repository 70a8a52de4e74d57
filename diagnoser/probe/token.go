package probe

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// entraTimeout bounds the caller's function that gets a Microsoft Entra token.
const entraTimeout = 5 * time.Second

// session is a conversation with the login server.
type session struct {
	r       *run
	c       *client
	realm   *url.URL
	service string
	cred    credential
	refresh string // registry refresh token, once exchanged
	out     *Token
}

// newSession checks that the token service belongs to the login server:
// credentials go nowhere else. ACR's realm always is
// https://<login server>/oauth2/token.
func (r *run) newSession(c *client, ch *Challenge) (*session, error) {
	if !strings.EqualFold(ch.Scheme, "Bearer") {
		return nil, fmt.Errorf("the challenge has the scheme %q, not Bearer", ch.Scheme)
	}
	u, err := url.Parse(ch.Realm)
	if err != nil {
		return nil, fmt.Errorf("the realm %q is no URL", ch.Realm)
	}
	if u.Scheme != "https" || !strings.EqualFold(u.Host, r.t.Host) && !strings.EqualFold(u.Host, r.t.Host+":443") {
		return nil, fmt.Errorf("the realm %q is not on the login server; nothing was sent there", ch.Realm)
	}
	u.Host = r.t.Host
	return &session{r: r, c: c, realm: u, service: ch.Service, out: &Token{}}, nil
}

// login finds out who we are: the Docker configuration's user, the holder of an
// Entra token, or nobody.
func (s *session) login(ctx context.Context) {
	cred, note := dockerCredential(ctx, s.r.h, s.r.t.Host)
	if note != "" {
		s.r.omit("token", note)
	}
	if !cred.empty() {
		s.cred, s.out.Source = cred, "docker-config"
		if cred.user == tokenUser && cred.refresh == "" {
			s.cred.refresh = cred.password
		}
		s.refresh = s.cred.refresh
		return
	}
	s.out.Source = "anonymous"
	if s.r.o.Entra == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, entraTimeout)
	defer cancel()
	tenant, token, err := s.r.o.Entra(ctx)
	if err != nil || token == "" {
		if err != nil {
			s.r.omit("token", "no Microsoft Entra token: "+redactText(err.Error()))
		}
		return
	}
	s.out.Source = "entra"
	s.exchange(ctx, tenant, token)
}

// exchange turns an Entra token into a refresh token of the registry.
// https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
func (s *session) exchange(ctx context.Context, tenant, token string) {
	form := url.Values{"grant_type": {"access_token"}, "service": {s.service}, "access_token": {token}}
	if tenant != "" {
		form.Set("tenant", tenant)
	}
	at := *s.realm
	at.Path, at.RawPath, at.RawQuery = "/oauth2/exchange", "", ""
	a := s.post(ctx, at.String(), form)
	var reply struct {
		RefreshToken string `json:"refresh_token"`
	}
	if a.Status == http.StatusOK && json.Unmarshal(a.full, &reply) == nil {
		s.refresh = reply.RefreshToken
	}
}

// grant asks for an access token for a scope, e.g. "repository:hello:pull". It
// gives "" if none was granted; the token's record says why.
func (s *session) grant(ctx context.Context, scope string) string {
	if s.out.Denied || s.out.Source == "entra" && s.refresh == "" {
		return ""
	}
	var a *answered
	if s.refresh != "" {
		a = s.post(ctx, s.realm.String(), url.Values{"grant_type": {"refresh_token"}, "service": {s.service},
			"scope": {scope}, "refresh_token": {s.refresh}})
	} else {
		u := *s.realm
		u.RawQuery = url.Values{"service": {s.service}, "scope": {scope}}.Encode()
		q := request{method: "GET", url: u.String(), secret: true, limit: 64 << 10, header: http.Header{}}
		if s.cred.password != "" {
			q.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(s.cred.user+":"+s.cred.password)))
		}
		a = s.r.exchange(ctx, s.c, q)
		s.record(a)
	}
	var reply struct {
		AccessToken string `json:"access_token"`
		Token       string `json:"token"`
	}
	if a.Status != http.StatusOK {
		return ""
	}
	if err := json.Unmarshal(a.full, &reply); err != nil {
		s.out.Err = "the token service answered 200 without JSON"
		return ""
	}
	if reply.AccessToken == "" {
		reply.AccessToken = reply.Token
	}
	if reply.AccessToken == "" {
		s.out.Err = "the token service answered 200 without a token"
		return ""
	}
	s.out.Granted, s.out.Err = true, ""
	return reply.AccessToken
}

func (s *session) post(ctx context.Context, to string, form url.Values) *answered {
	a := s.r.exchange(ctx, s.c, request{method: "POST", url: to, body: form.Encode(), secret: true, limit: 64 << 10})
	s.record(a)
	return a
}

func (s *session) record(a *answered) {
	s.out.Steps = append(s.out.Steps, a.HTTP)
	if a.Status == http.StatusOK {
		return
	}
	s.out.Err = a.Err
	if s.out.Err == "" {
		s.out.Err = fmt.Sprintf("%s answered %d", a.URL, a.Status)
	}
	if denied, ip := parseDenied(a.Status, a.full); denied {
		s.out.Denied, s.out.DeniedIP = true, ip
		s.r.learnEgress(ip, "registry")
	}
}

// get makes one authenticated request to the login server.
func (s *session) get(ctx context.Context, path, token string, q request) *answered {
	q.method, q.url = "GET", "https://"+s.r.t.Host+path
	if q.header == nil {
		q.header = http.Header{}
	}
	if token != "" {
		q.header.Set("Authorization", "Bearer "+token)
	}
	return s.r.exchange(ctx, s.c, q)
}
