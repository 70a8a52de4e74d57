package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// call sends a request to a front without sockets. header is "Name: value".
func call(h http.Handler, method, target string, body io.Reader, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, body)
	r.RemoteAddr = "203.0.113.7:40000"
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// accessToken asks for a scope with the test user's password.
func accessToken(t *testing.T, h http.Handler, scope string) string {
	t.Helper()
	resp := call(h, "GET", "https://"+loginName+"/oauth2/token?"+url.Values{"service": {loginName}, "scope": {scope}}.Encode(), nil, basic("admin", "secret"))
	require.Equal(t, 200, resp.StatusCode)
	return field(t, resp, "access_token")
}

func field(t *testing.T, resp *http.Response, name string) string {
	t.Helper()
	var m map[string]string
	require.NoError(t, json.Unmarshal([]byte(bodyOf(t, resp)), &m))
	require.Len(t, m, 1)
	require.NotEmpty(t, m[name])
	return m[name]
}

func bearer(token string) string { return "Authorization: Bearer " + token }

func TestAnUnauthenticatedPingIsChallengedByteForByte(t *testing.T) {
	h := newRegistry(t, testConfig()).Handler(testFront())
	resp := call(h, "GET", "https://"+loginName+"/v2/", nil)
	body := bodyOf(t, resp)
	require.Equal(t, 401, resp.StatusCode)
	require.Len(t, body, 149)
	sum := sha256.Sum256([]byte(body))
	// Of a captured answer of the service.
	require.Equal(t, "e7d73ddce2d32ac3606748916859fea39ed75678aac7b0011be907b3fcdc2504", hex.EncodeToString(sum[:]))
	require.Equal(t, "149", resp.Header.Get("Content-Length"))
	require.NotEmpty(t, resp.Header.Get("X-Ms-Correlation-Request-Id"))
	resp.Header.Del("X-Ms-Correlation-Request-Id")
	require.Equal(t, http.Header{
		"Server":                          {"AzureContainerRegistry"},
		"Content-Type":                    {"application/json; charset=utf-8"},
		"Content-Length":                  {"149"},
		"Connection":                      {"keep-alive"},
		"Access-Control-Expose-Headers":   {"Docker-Content-Digest", "WWW-Authenticate", "Link", "X-Ms-Correlation-Request-Id"},
		"Docker-Distribution-Api-Version": {"registry/2.0"},
		"Strict-Transport-Security":       {"max-age=31536000; includeSubDomains", "max-age=31536000; includeSubDomains"},
		"Www-Authenticate":                {`Bearer realm="https://myregistry.azurecr.io/oauth2/token",service="myregistry.azurecr.io"`},
		"X-Content-Type-Options":          {"nosniff"},
	}, resp.Header)
}

func TestChallengesNameTheScopeThatIsMissing(t *testing.T) {
	h := newRegistry(t, testConfig()).Handler(testFront())
	const prefix = `Bearer realm="https://myregistry.azurecr.io/oauth2/token",service="myregistry.azurecr.io",scope="`
	for _, tc := range []struct{ method, path, scope, detail string }{
		{"GET", "/v2/hello-world/manifests/latest", "repository:hello-world:pull", `[{"Type":"repository","Name":"hello-world","Action":"pull"}]`},
		{"HEAD", "/v2/a/b/manifests/latest", "repository:a/b:pull", ""},
		{"PUT", "/v2/a/manifests/1", "repository:a:pull,push", `[{"Type":"repository","Name":"a","Action":"pull"},{"Type":"repository","Name":"a","Action":"push"}]`},
		{"DELETE", "/v2/a/manifests/1", "repository:a:delete", `[{"Type":"repository","Name":"a","Action":"delete"}]`},
		{"GET", "/v2/a/tags/list", "repository:a:metadata_read", `[{"Type":"repository","Name":"a","Action":"metadata_read"}]`},
		{"GET", "/v2/_catalog", "registry:catalog:*", `[{"Type":"registry","Name":"catalog","Action":"*"}]`},
		{"POST", "/v2/a/blobs/uploads/?mount=x&from=b", "repository:a:pull,push repository:b:pull", ""},
		{"GET", "/acr/v1/a/_tags", "repository:a:metadata_read", ""},
	} {
		resp := call(h, tc.method, "https://"+loginName+tc.path, nil)
		require.Equal(t, 401, resp.StatusCode, tc.path)
		require.Equal(t, prefix+tc.scope+`"`, resp.Header.Get("Www-Authenticate"), tc.path)
		if tc.detail != "" {
			require.Contains(t, bodyOf(t, resp), `"detail":`+tc.detail+"}]}\n", tc.path)
		}
	}
}

func TestBadTokensAreNamedInTheChallenge(t *testing.T) {
	now := time.Now()
	reg := newRegistry(t, testConfig(), WithClock(func() time.Time { return now }))
	other := newRegistry(t, testConfig())
	h := reg.Handler(testFront())
	good := accessToken(t, h, "repository:hello-world:pull")
	expiring := accessToken(t, h, "repository:hello-world:pull")
	require.Equal(t, 200, call(h, "GET", "https://"+loginName+"/v2/hello-world/manifests/latest", nil, bearer(expiring)).StatusCode)

	refresh, err := reg.signer.issue(grantRefresh, "admin", loginName, "", nil, now)
	require.NoError(t, err)
	for name, tc := range map[string]struct{ header, reason string }{
		"garbage":                    {"Authorization: Bearer x", "invalid_token"},
		"unknown scheme":             {"Authorization: Digest x", "invalid_token"},
		"token of another registry":  {bearer(accessToken(t, other.Handler(testFront()), "repository:hello-world:pull")), "invalid_token"},
		"refresh token":              {bearer(refresh), "invalid_token"},
		"changed token":              {bearer(good[:len(good)-8] + "AAAAAAAA"), "invalid_token"},
		"wrong password":             {basic("admin", "no"), "invalid_token"},
		"unknown user":               {basic("nobody", ""), "invalid_token"},
		"token of another repo":      {bearer(accessToken(t, h, "repository:other:pull")), "insufficient_scope"},
		"token without the action":   {bearer(accessToken(t, h, "repository:hello-world:push")), "insufficient_scope"},
		"token for another resource": {bearer(accessToken(t, h, "registry:hello-world:pull")), "insufficient_scope"},
	} {
		resp := call(h, "GET", "https://"+loginName+"/v2/hello-world/manifests/latest", nil, tc.header)
		require.Equal(t, 401, resp.StatusCode, name)
		require.True(t, strings.HasSuffix(resp.Header.Get("Www-Authenticate"), `,error="`+tc.reason+`"`), "%s: %s", name, resp.Header.Get("Www-Authenticate"))
	}
	now = now.Add(accessLife + time.Second)
	resp := call(h, "GET", "https://"+loginName+"/v2/hello-world/manifests/latest", nil, bearer(expiring))
	require.Equal(t, 401, resp.StatusCode)
	require.Contains(t, resp.Header.Get("Www-Authenticate"), "invalid_token")
}

func TestLoginServerAnswersOutsideTheAPI(t *testing.T) {
	h := newRegistry(t, testConfig()).Handler(testFront())
	for _, target := range []string{"https://" + loginName + "/", "https://other.azurecr.io/v2/", "https://192.0.2.1/"} {
		resp := call(h, "GET", target, nil)
		require.Equal(t, 404, resp.StatusCode, target)
		require.Equal(t, "Not Found", bodyOf(t, resp), target)
		require.Equal(t, "9", resp.Header.Get("Content-Length"), target)
		require.Equal(t, "application/octet-stream", resp.Header.Get("Content-Type"), target)
		require.Equal(t, "AzureContainerRegistry", resp.Header.Get("Server"), target)
	}
	resp := call(h, "GET", "https://"+strings.ToUpper(loginName)+":443/v2/", nil, bearer(accessToken(t, h, "")))
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "{}", bodyOf(t, resp))
	require.Equal(t, 200, call(h, "GET", "https://"+loginName+"/v2/", nil, basic("admin", "secret")).StatusCode, "Basic works on every path")
}

func TestNothingMakesTheAPIPanic(t *testing.T) {
	h := newRegistry(t, testConfig()).Handler(testFront())
	for _, path := range []string{"/v2/hello-world/manifests/sha256:x", "/v2/hello-world/blobs/x", "/v2/hello-world/blobs/md5:00",
		"/v2/UPPER/manifests/1", "/v2//manifests/1", "/v2/a/b", "/v2/a/referrers/x", "/v2/a/tags/list?n=-1", "/v2/a/tags/list?n=x",
		"/v2/a/blobs/uploads/nope", "/v2/hello-world/manifests/" + strings.Repeat("x", 129), "/acr/v1/", "/acr/v1/_tags", "/acr/v1/nope"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"} {
			resp := call(h, method, "https://"+loginName+path, bytes.NewReader([]byte("{")), basic("admin", "secret"))
			require.GreaterOrEqual(t, resp.StatusCode, 400, "%s %s", method, path)
			require.Less(t, resp.StatusCode, 500, "%s %s", method, path)
		}
	}
}
