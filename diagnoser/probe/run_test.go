package probe

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAHealthyRegistryIsReadToTheLastByte(t *testing.T) {
	w := newWorld(t)
	w.silent = true
	r := w.run()
	require.NotNil(t, r.API)
	require.Equal(t, ByRegistry, r.API.Challenge.Answer)
	require.Equal(t, "Bearer", r.API.Challenge.Scheme)
	require.Equal(t, "https://"+login+"/oauth2/token", r.API.Challenge.Realm)
	require.True(t, r.API.Token.Granted)
	require.Equal(t, "anonymous", r.API.Token.Source)
	require.True(t, r.API.Manifest.OK)
	require.NotNil(t, r.API.Blob)
	require.True(t, r.API.Blob.OK, r.API.Blob.Err)
	require.Equal(t, dataName, r.API.Blob.Host)

	p := onePath(t, r, RoleLogin, Direct)
	require.True(t, p.Shell)
	require.Equal(t, Connected, p.TCP.Outcome)
	require.Equal(t, Verified, p.TLS.Outcome)
	require.Equal(t, 401, p.HTTP.Status)
	require.Equal(t, Verified, onePath(t, r, RoleData, Direct).TLS.Outcome)
	require.Len(t, r.Control, 3)
	require.True(t, r.Vantage.HasSkew)
	require.Less(t, r.Vantage.ClockSkew.Abs(), 3*time.Second)
	for _, l := range r.Lookups {
		require.Equal(t, Configured, l.Kind, "resolvers that nobody uses are not waited for")
	}
	require.Contains(t, fmt.Sprint(r.Omitted), "not waited for")
	require.Equal(t, 1, w.dials[addr443(loginAddr)], "one connection carries the whole conversation")
	for _, h := range w.seen {
		require.Empty(t, h.Get("Authorization"), "the data endpoint never sees the token")
	}
}

func TestNoSecretEntersTheReport(t *testing.T) {
	w := newWorld(t)
	w.env = []string{"HOME=/root"}
	w.files["/root/.docker/config.json"] = `{"auths":{"` + login + `":{"auth":"dXNlcjpodW50ZXIyaHVudGVyMg=="}}}`
	r := w.run()
	require.True(t, r.API.Blob.OK)
	require.Equal(t, "docker-config", r.API.Token.Source)
	require.Contains(t, w.tokens[0], "Basic ")
	text, err := json.Marshal(r)
	require.NoError(t, err)
	for _, secret := range []string{sasSig, "eyJ", "hunter2", "dXNlcjpodW50ZXIy"} {
		require.NotContains(t, string(text), secret)
	}
	require.Contains(t, string(text), "sp=r", "what is not secret stays")
}
