package probe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// pushSample is what is uploaded and thrown away: more than one segment, so
// that it also shows whether large packets get there.
const pushSample = 16 << 10

// tryPush opens an upload, writes to it and cancels it, which leaves nothing
// behind (https://github.com/opencontainers/distribution-spec, "Pushing a blob
// in chunks"; cancelling: DELETE of the upload's location).
func (s *session) tryPush(ctx context.Context, repository string) *Step {
	pulling := *s.out // what a push is refused says nothing of the pull
	token := s.grant(ctx, "repository:"+repository+":pull,push")
	refused := s.out.Err
	*s.out = pulling
	if token == "" {
		return &Step{HTTP: HTTP{Method: "POST", URL: s.realm.String(), Err: "no token to push with: " + refused}}
	}
	send := func(method, to, body string) *answered {
		q := request{method: method, url: to, body: body, contentType: "application/octet-stream", header: http.Header{"Authorization": {"Bearer " + token}}}
		if body != "" {
			q.header.Set("Content-Range", fmt.Sprintf("0-%d", len(body)-1))
		}
		return s.r.exchange(ctx, s.c, q)
	}
	step := func(a *answered) *Step {
		st := &Step{HTTP: a.HTTP, OK: a.Status == http.StatusAccepted}
		st.Denied, st.DeniedIP = parseDenied(a.Status, a.full)
		return st
	}
	opened := send("POST", "https://"+s.r.t.Host+"/v2/"+repository+"/blobs/uploads/", "")
	if opened.Status != http.StatusAccepted {
		return step(opened)
	}
	to, err := s.uploadLocation(opened.header.Get("Location"))
	if err != nil {
		st := step(opened)
		st.OK, st.HTTP.Err = false, err.Error()
		return st
	}
	wrote := send("PATCH", to, strings.Repeat("x", pushSample))
	if wrote.header != nil {
		if next, err := s.uploadLocation(wrote.header.Get("Location")); err == nil {
			to = next
		}
	}
	if cancelled := send("DELETE", to, ""); cancelled.Status/100 != 2 {
		s.r.omit("push", "the upload that was tried could not be cancelled; the registry drops it by itself")
	}
	return step(wrote)
}

// uploadLocation keeps the token on the login server.
func (s *session) uploadLocation(location string) (string, error) {
	base := &url.URL{Scheme: "https", Host: s.r.t.Host, Path: "/"}
	u, err := base.Parse(location)
	if err != nil || location == "" || u.Scheme != "https" || !strings.EqualFold(u.Host, s.r.t.Host) {
		return "", fmt.Errorf("the upload's location is not on the login server; nothing was sent there")
	}
	return u.String(), nil
}
