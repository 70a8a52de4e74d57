package azure

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

func TestVerifyEntra(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	verify := VerifyEntra(func(kid string) (crypto.PublicKey, error) {
		if kid != "k" {
			return nil, errors.New("unknown key")
		}
		return &key.PublicKey, nil
	})
	sign := func(method jwt.SigningMethod, with any, kid string, change func(jwt.MapClaims)) string {
		c := jwt.MapClaims{"aud": "https://management.azure.com", "exp": time.Now().Add(time.Hour).Unix(), "tid": "tenant1", "oid": "o", "appid": "app1"}
		change(c)
		token := jwt.NewWithClaims(method, c)
		token.Header["kid"] = kid
		s, err := token.SignedString(with)
		require.NoError(t, err)
		return s
	}
	same := func(jwt.MapClaims) {}
	set := func(k string, v any) func(jwt.MapClaims) { return func(c jwt.MapClaims) { c[k] = v } }

	caller, err := verify(sign(jwt.SigningMethodRS256, key, "k", same))
	require.NoError(t, err)
	require.Equal(t, Caller{AppID: "app1", ObjectID: "o", Tenant: "tenant1"}, caller)

	for name, tc := range map[string]struct{ token, code string }{
		"expired":            {sign(jwt.SigningMethodRS256, key, "k", set("exp", time.Now().Add(-time.Minute).Unix())), "ExpiredAuthenticationToken"},
		"without an end":     {sign(jwt.SigningMethodRS256, key, "k", func(c jwt.MapClaims) { delete(c, "exp") }), "InvalidAuthenticationToken"},
		"for the registry":   {sign(jwt.SigningMethodRS256, key, "k", set("aud", "https://containerregistry.azure.net")), "InvalidAuthenticationTokenAudience"},
		"of another key":     {sign(jwt.SigningMethodRS256, other, "k", same), "InvalidAuthenticationToken"},
		"of an unknown key":  {sign(jwt.SigningMethodRS256, key, "x", same), "InvalidAuthenticationToken"},
		"without signature":  {sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "k", same), "InvalidAuthenticationToken"},
		"signed with a word": {sign(jwt.SigningMethodHS256, []byte("k"), "k", same), "InvalidAuthenticationToken"},
		"garbage":            {"a.b.c", "InvalidAuthenticationToken"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify(tc.token)
			requireCode(t, err, http.StatusUnauthorized, tc.code)
		})
	}

	t.Run("of another tenant", func(t *testing.T) {
		c := &client{t, Handler(testStore(t), Front{Clients: []string{"app1"}}, verify), ""}
		c.token = sign(jwt.SigningMethodRS256, key, "k", set("tid", "tenant2"))
		resp, m := c.do("GET", hub, "2025-01-01", "")
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
		require.Equal(t, "InvalidAuthenticationTokenTenant", at(t, m, "error", "code"))
		require.Contains(t, resp.Header.Get("WWW-Authenticate"), "https://login.windows.net/tenant1")
	})
}
