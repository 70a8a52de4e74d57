package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

const deniedBody = `{"errors":[{"code":"DENIED","message":"client with IP '203.0.113.7' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."}]}`

func says(status int, body string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(status)
		fmt.Fprintln(rw, body)
	}
}

func TestADenialTellsTheAddressThatTheRegistrySaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.v2 = says(403, deniedBody)
	r := w.run()
	require.True(t, r.API.Challenge.Denied)
	require.Equal(t, "203.0.113.7", r.API.Challenge.DeniedIP.String())
	require.Equal(t, ByRegistry, r.API.Challenge.Answer)
	require.Equal(t, "203.0.113.7", r.Vantage.Egress.String())
	require.Equal(t, "registry", r.Vantage.EgressFrom)
	require.Nil(t, r.API.Token)
	require.Equal(t, 403, onePath(t, r, RoleData, Direct).HTTP.Status, "the data endpoint is looked at all the same")
}

func TestAnAnswerThatIsNotARegistrysIsTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		h    http.HandlerFunc
		want AnswerKind
	}{
		"captive portal": {says(200, "<html>Welcome</html>"), ByOther},
		"Azure Firewall": {says(470, "Action: Deny. Reason: No rule matched. Proceeding with default action."), ByOther},
		"corporate 403":  {says(403, "<html><h1>Access Denied by Corp Proxy</h1></html>"), ByOther},
		"redirect": {func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "https://portal.corp.example/login", http.StatusFound)
		}, ByOther},
		"throttled": {says(429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"too many requests"}]}`), ByRegistry},
		"storage":   {says(403, "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthorizationFailure</Code></Error>"), ByStorage},
		"401 with Basic only": {func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Www-Authenticate", `Basic realm="x"`)
			rw.WriteHeader(401)
		}, ByOther},
		"registry no challenge": {func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Server", "AzureContainerRegistry")
			rw.WriteHeader(404)
		}, ByRegistry},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.v2 = test.h
			r := w.run()
			require.Equal(t, test.want, r.API.Challenge.Answer)
			require.False(t, r.API.Challenge.Denied)
			require.NotZero(t, r.API.Challenge.HTTP.Status)
			require.Nil(t, r.API.Token)
		})
	}
}

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.token = says(401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	r := w.run()
	require.False(t, r.API.Token.Granted)
	require.False(t, r.API.Token.Denied)
	require.Contains(t, r.API.Token.Err, "401")
	require.Nil(t, r.API.Manifest)

	w = newWorld(t)
	w.token = says(403, deniedBody)
	r = w.run()
	require.True(t, r.API.Token.Denied)
	require.Equal(t, "203.0.113.7", r.API.Token.DeniedIP.String())
}

func TestAnEntraTokenIsExchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.token = func(rw http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		switch {
		case r.URL.Path == "/oauth2/exchange" && r.PostForm.Get("access_token") == "entra-secret" && r.PostForm.Get("tenant") == "t1" && r.PostForm.Get("service") == login:
			fmt.Fprint(rw, `{"refresh_token":"refresh-secret"}`)
		case r.URL.Path == "/oauth2/token" && r.PostForm.Get("refresh_token") == "refresh-secret" && r.PostForm.Get("scope") == "repository:hello:pull":
			fmt.Fprint(rw, `{"access_token":"access-secret"}`)
		default:
			rw.WriteHeader(400)
		}
	}
	w.opt.Entra = func(context.Context) (string, string, error) { return "t1", "entra-secret", nil }
	r := w.run()
	require.Equal(t, "entra", r.API.Token.Source)
	require.True(t, r.API.Token.Granted)
	require.Len(t, r.API.Token.Steps, 2)
	require.True(t, r.API.Blob.OK)
	for _, s := range r.API.Token.Steps {
		require.NotContains(t, s.Body+s.URL, "secret")
	}
}

func TestWithoutEntraThePullGoesOnAnonymously(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opt.Entra = func(context.Context) (string, string, error) {
		return "", "", errors.New("login.microsoftonline.com: no route")
	}
	r := w.run()
	require.Equal(t, "anonymous", r.API.Token.Source)
	require.True(t, r.API.Blob.OK)
}

func TestARefusedExchangeIsKeptApartFromTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opt.Entra = func(context.Context) (string, string, error) { return "t1", "entra-secret", nil }
	w.token = says(403, deniedBody)
	r := w.run()
	require.Equal(t, "entra", r.API.Token.Source)
	require.True(t, r.API.Token.Denied)
	require.Len(t, r.API.Token.Steps, 1)
}

func TestCredentialsDoNotLeaveForAnotherHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env = []string{"DOCKER_CONFIG=/d"}
	w.files["/d/config.json"] = `{"auths":{"https://` + login + `":{"auth":"dXNlcjpwdw=="}}}`
	w.v2 = func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Www-Authenticate", `Bearer realm="https://evil.example/oauth2/token",service="`+login+`"`)
		rw.WriteHeader(401)
	}
	r := w.run()
	require.Nil(t, r.API.Token)
	require.Empty(t, w.tokens)
	require.Contains(t, fmt.Sprint(r.Omitted), "evil.example")
}

func TestWithoutARepositoryOneIsLookedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.target.Repository, w.target.Reference = "", ""
	w.token = says(401, "{}")
	r := w.run()
	require.Contains(t, fmt.Sprint(r.Omitted), "names no repository")
	require.Equal(t, 403, onePath(t, r, RoleData, Direct).HTTP.Status)
	require.True(t, onePath(t, r, RoleData, Direct).Guessed)

	w = newWorld(t)
	w.target.Repository, w.target.Reference = "", ""
	inner := w.handlers[loginAddr]
	w.handlers[loginAddr] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/_catalog":
			fmt.Fprint(rw, `{"repositories":["found"]}`)
		case "/v2/found/tags/list":
			fmt.Fprint(rw, `{"tags":["v7"]}`)
		default:
			inner.ServeHTTP(rw, r)
		}
	})
	r = w.run()
	require.True(t, r.API.Blob.OK)
	require.Contains(t, r.API.Manifest.HTTP.URL, "/v2/found/manifests/v7")
}

func TestLayerFailures(t *testing.T) {
	t.Parallel()
	t.Run("wrong bytes", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.blob = says(200, "x")
		b := w.run().API.Blob
		require.False(t, b.OK)
		require.Contains(t, b.Err, "digest")
	})
	t.Run("broken off", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.blob = func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "2")
			rw.Write([]byte("{"))
			rw.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		b := w.run().API.Blob
		require.False(t, b.OK)
		require.Contains(t, b.Err, "broke off")
	})
	t.Run("refused by storage", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.blob = says(403, `<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthorizationFailure</Code></Error>`)
		b := w.run().API.Blob
		require.False(t, b.OK)
		require.Equal(t, 403, b.Path.HTTP.Status)
		require.Contains(t, b.Path.HTTP.Body, "AuthorizationFailure")
		require.NotContains(t, b.Err+b.Path.HTTP.URL+b.Redirect.Header["Location"], sasSig)
	})
	t.Run("silent data endpoint", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		delete(w.handlers, dataAddr)
		r := w.run()
		require.False(t, r.API.Blob.OK)
		require.Equal(t, Silence, r.API.Blob.Path.TCP.Outcome)
		require.Equal(t, Silence, onePath(t, r, RoleData, Direct).TCP.Outcome)
		require.False(t, onePath(t, r, RoleData, Direct).Guessed)
	})
	t.Run("data endpoint without an address", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		delete(w.zone, dataName)
		r := w.run()
		require.Equal(t, NoAddress, r.API.Blob.Path.TCP.Outcome)
		require.True(t, r.API.Blob.Path.Shell)
	})
}

func TestReplicasAreProbed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := "myregistry.westeurope.data.azurecr.io"
	w.opt.DataHosts = []string{other}
	w.zone[other] = []string{"A 192.0.2.77"}
	r := w.run()
	require.True(t, r.API.Blob.OK)
	var found bool
	for _, p := range r.Paths {
		if p.Host == other {
			found = true
			require.Equal(t, Silence, p.TCP.Outcome)
			require.False(t, p.Guessed)
		}
	}
	require.True(t, found)
}
