package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

func postForm(h http.Handler, path string, form url.Values) *http.Response {
	return call(h, "POST", "https://"+loginName+path, strings.NewReader(form.Encode()), "Content-Type: application/x-www-form-urlencoded")
}

func TestEntraTokensAreExchanged(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	otherKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cfg := testConfig()
	keys := WithEntraKeys(func(kid string) (crypto.PublicKey, error) {
		if kid != "k1" {
			return nil, errors.New("no such key")
		}
		return key.Public(), nil
	})
	h := newRegistry(t, cfg, keys).Handler(testFront())
	token := func(change func(jwt.MapClaims, *jwt.Token), with *ecdsa.PrivateKey) string {
		c := jwt.MapClaims{"tid": cfg.Tenant, "appid": "app-1", "aud": "https://management.core.windows.net/", "exp": time.Now().Add(time.Hour).Unix()}
		tok := jwt.NewWithClaims(jwt.SigningMethodES256, c)
		tok.Header["kid"] = "k1"
		change(c, tok)
		s, err := tok.SignedString(with)
		require.NoError(t, err)
		return s
	}
	same := func(jwt.MapClaims, *jwt.Token) {}
	set := func(name string, value any) func(jwt.MapClaims, *jwt.Token) {
		return func(c jwt.MapClaims, _ *jwt.Token) { c[name] = value }
	}
	form := func(accessToken string) url.Values {
		return url.Values{"grant_type": {"access_token"}, "service": {loginName}, "tenant": {cfg.Tenant}, "access_token": {accessToken}}
	}
	for name, tc := range map[string]struct {
		change func(jwt.MapClaims, *jwt.Token)
		key    *ecdsa.PrivateKey
		status int
	}{
		"as az sends it":            {same, key, 200},
		"for ARM's other name":      {set("aud", "https://management.azure.com/"), key, 200},
		"for the registry service":  {set("aud", "https://containerregistry.azure.net"), key, 200},
		"version 2 token":           {func(c jwt.MapClaims, _ *jwt.Token) { delete(c, "appid"); c["azp"] = "app-1" }, key, 200},
		"for Microsoft Graph":       {set("aud", "https://graph.microsoft.com"), key, 401},
		"of another tenant":         {set("tid", "x"), key, 401},
		"of an unknown application": {set("appid", "app-2"), key, 401},
		"expired":                   {set("exp", time.Now().Add(-time.Hour).Unix()), key, 401},
		"without expiry":            {func(c jwt.MapClaims, _ *jwt.Token) { delete(c, "exp") }, key, 401},
		"signed with another key":   {same, otherKey, 401},
		"with an unknown key id":    {func(_ jwt.MapClaims, t *jwt.Token) { t.Header["kid"] = "k2" }, key, 401},
	} {
		t.Run(name, func(t *testing.T) {
			resp := postForm(h, "/oauth2/exchange", form(token(tc.change, tc.key)))
			require.Equal(t, tc.status, resp.StatusCode)
			if tc.status != 200 {
				require.Equal(t, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information."}]}`+"\n", bodyOf(t, resp))
			}
		})
	}

	refresh := field(t, postForm(h, "/oauth2/exchange", form(token(same, key))), "refresh_token")
	t.Run("the refresh token buys an access token", func(t *testing.T) {
		resp := postForm(h, "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "service": {loginName}, "scope": {"registry:None:*"}, "refresh_token": {refresh}})
		require.Equal(t, 200, resp.StatusCode)
	})
	t.Run("docker login sends it as a password", func(t *testing.T) {
		resp := call(h, "GET", "https://"+loginName+"/oauth2/token?account=x&client_id=docker&offline_token=true&service="+loginName, nil, basic(refreshUser, refresh))
		access := field(t, resp, "access_token")
		require.Equal(t, 200, call(h, "GET", "https://"+loginName+"/v2/", nil, bearer(access)).StatusCode)
		var c jwt.MapClaims
		_, _, err := jwt.NewParser().ParseUnverified(access, &c)
		require.NoError(t, err)
		require.Equal(t, "app-1", c["sub"], "the access token is for whom the refresh token was for")
		require.Equal(t, "access_token", c["grant_type"])
	})
	t.Run("without keys nothing is exchanged", func(t *testing.T) {
		resp := postForm(newRegistry(t, cfg).Handler(testFront()), "/oauth2/exchange", form(token(same, key)))
		require.Equal(t, 401, resp.StatusCode)
	})
	t.Run("the claims are the service's", func(t *testing.T) {
		var c jwt.MapClaims
		tok, _, err := jwt.NewParser().ParseUnverified(refresh, &c)
		require.NoError(t, err)
		require.Equal(t, "RS256", tok.Header["alg"])
		require.Regexp(t, regexp.MustCompile(`^([A-Z2-7]{4}:){11}[A-Z2-7]{4}$`), tok.Header["kid"])
		require.Equal(t, "Azure Container Registry", c["iss"])
		require.Equal(t, loginName, c["aud"])
		require.Equal(t, "1.0", c["version"])
		require.Equal(t, "refresh_token", c["grant_type"])
		require.Equal(t, cfg.Tenant, c["tenant"])
		require.Equal(t, "app-1", c["sub"])
		for _, name := range []string{"jti", "nbf", "exp", "iat", "rid", "permissions", "roles"} {
			require.Contains(t, c, name)
		}
	})
}

func TestTokenServiceRefusals(t *testing.T) {
	h := newRegistry(t, testConfig()).Handler(testFront())
	for name, tc := range map[string]struct {
		form   url.Values
		status int
	}{
		"password":         {url.Values{"grant_type": {"password"}, "service": {loginName}, "username": {"admin"}, "password": {"secret"}}, 200},
		"wrong password":   {url.Values{"grant_type": {"password"}, "service": {loginName}, "username": {"admin"}, "password": {"x"}}, 401},
		"no password":      {url.Values{"grant_type": {"password"}, "service": {loginName}}, 401},
		"no refresh token": {url.Values{"grant_type": {"refresh_token"}, "service": {loginName}}, 401},
		"other grant":      {url.Values{"grant_type": {"device_code"}, "service": {loginName}}, 400},
		"other service":    {url.Values{"grant_type": {"password"}, "service": {"other.azurecr.io"}, "username": {"admin"}, "password": {"secret"}}, 400},
		"malformed scope":  {url.Values{"grant_type": {"password"}, "service": {loginName}, "scope": {"x"}, "username": {"admin"}, "password": {"secret"}}, 400},
		"an empty form":    {nil, 400},
	} {
		require.Equal(t, tc.status, postForm(h, "/oauth2/token", tc.form).StatusCode, name)
	}
	require.Equal(t, 400, call(h, "POST", "https://"+loginName+"/oauth2/token", strings.NewReader("{}"), "Content-Type: application/json").StatusCode)
	require.Equal(t, 405, call(h, "PUT", "https://"+loginName+"/oauth2/token", nil).StatusCode)
	require.Equal(t, 405, call(h, "GET", "https://"+loginName+"/oauth2/exchange", nil).StatusCode)
	require.Equal(t, 401, call(h, "GET", "https://"+loginName+"/oauth2/token?service="+loginName, nil).StatusCode)
}

func TestAnonymousPullReadsRepositoriesAlone(t *testing.T) {
	cfg := testConfig()
	cfg.AnonymousPull = true
	h := newRegistry(t, cfg).Handler(testFront())
	token := field(t, call(h, "GET", "https://"+loginName+"/oauth2/token?service="+loginName+
		"&scope=repository:hello-world:pull,push,delete&scope=registry:catalog:*", nil), "access_token")
	require.Equal(t, 200, call(h, "GET", "https://"+loginName+"/v2/hello-world/manifests/latest", nil, bearer(token)).StatusCode)
	require.Equal(t, 401, call(h, "GET", "https://"+loginName+"/v2/_catalog", nil, bearer(token)).StatusCode)
	require.Equal(t, 401, call(h, "DELETE", "https://"+loginName+"/v2/hello-world/manifests/latest", nil, bearer(token)).StatusCode)
	require.Equal(t, 401, call(h, "POST", "https://"+loginName+"/v2/hello-world/blobs/uploads/", nil, bearer(token)).StatusCode)
	require.Equal(t, 401, call(h, "GET", "https://"+loginName+"/oauth2/token?service="+loginName, nil, basic("admin", "x")).StatusCode,
		"wrong credentials do not fall back to none")
}
