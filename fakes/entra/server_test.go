package entra

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenantID = "72f988bf-0000-4000-8000-000000000001"
	appID    = "11111111-0000-4000-8000-000000000001"
	secret   = "s3cr3t~value"
)

func testTenant(t testing.TB) *Tenant {
	t.Helper()
	tenant, err := NewTenant(Config{Tenant: tenantID, Clients: map[string]string{appID: secret}})
	require.NoError(t, err)
	return tenant
}

func verify(t *testing.T, tenant *Tenant, token string) jwt.MapClaims {
	t.Helper()
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(tok *jwt.Token) (any, error) {
		return tenant.PublicKey(tok.Header["kid"].(string))
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired())
	require.NoError(t, err)
	return claims
}

// azidentity, unmodified, with its discovery, against the real names.
func TestAzidentitySignsIn(t *testing.T) {
	ca, err := pki.New(pki.AzureSubject)
	require.NoError(t, err)
	tenant := testTenant(t)
	s, err := Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, tenant, ca)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	tr := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: ca.Pool()},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			require.Equal(t, Host+":443", addr)
			return new(net.Dialer).DialContext(ctx, network, s.Addrs()[0].String())
		},
	}
	defer tr.CloseIdleConnections()
	options := azcore.ClientOptions{Transport: &http.Client{Transport: tr}, Retry: policy.RetryOptions{MaxRetries: -1}}
	token := func(tenant, app, secret, scope string) (string, error) {
		cred, err := azidentity.NewClientSecretCredential(tenant, app, secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: options})
		require.NoError(t, err)
		got, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
		return got.Token, err
	}

	got, err := token(tenantID, appID, secret, "https://management.azure.com/.default")
	require.NoError(t, err)
	claims := verify(t, tenant, got)
	require.Equal(t, tenantID, claims["tid"])
	require.Equal(t, appID, claims["appid"])
	require.Equal(t, tenant.ObjectID(appID), claims["oid"])
	require.Equal(t, "https://management.azure.com", claims["aud"])
	require.Equal(t, "https://sts.windows.net/"+tenantID+"/", claims["iss"])

	_, err = token(tenantID, appID, "wrong", "https://management.azure.com/.default")
	require.ErrorContains(t, err, "AADSTS7000215")
	_, err = token(tenantID, "22222222-0000-4000-8000-000000000002", secret, "https://management.azure.com/.default")
	require.ErrorContains(t, err, "AADSTS700016")
	_, err = token("72f988bf-0000-4000-8000-000000000009", appID, secret, "https://management.azure.com/.default")
	require.ErrorContains(t, err, "90002")
}

func request(t *testing.T, tenant *Tenant, method, path string, form url.Values) (int, map[string]any) {
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req := httptest.NewRequest(method, path, body)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	Handler(tenant).ServeHTTP(w, req)
	var m map[string]any
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &m))
	}
	return w.Code, m
}

// The requests of az 2.45, as recorded.
func TestWhatAzSends(t *testing.T) {
	tenant := testTenant(t)
	status, m := request(t, tenant, "GET", "/"+tenantID+"/v2.0/.well-known/openid-configuration", nil)
	require.Equal(t, 200, status)
	require.Equal(t, "https://login.microsoftonline.com/"+tenantID+"/oauth2/v2.0/token", m["token_endpoint"])
	require.NotEmpty(t, m["authorization_endpoint"])

	status, m = request(t, tenant, "POST", "/"+tenantID+"/oauth2/v2.0/token", url.Values{
		"client_id": {appID}, "grant_type": {"client_credentials"}, "client_info": {"1"}, "client_secret": {secret},
		"claims": {`{"access_token":{"xms_cc":{"values":["CP1"]}}}`}, "scope": {"https://management.core.windows.net//.default"}})
	require.Equal(t, 200, status, "%v", m)
	require.EqualValues(t, 3599, m["expires_in"])
	require.Equal(t, "https://management.core.windows.net/", verify(t, tenant, m["access_token"].(string))["aud"])

	status, m = request(t, tenant, "GET", "/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.microsoftonline.com/common/oauth2/authorize", nil)
	require.Equal(t, 200, status)
	require.Equal(t, "login.microsoftonline.com", m["metadata"].([]any)[0].(map[string]any)["preferred_network"])
	require.Equal(t, "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration", m["tenant_discovery_endpoint"])
}

func TestErrors(t *testing.T) {
	good := func(change func(url.Values)) url.Values {
		v := url.Values{"client_id": {appID}, "client_secret": {secret}, "grant_type": {"client_credentials"}, "scope": {"https://management.azure.com/.default"}}
		change(v)
		return v
	}
	set := func(k, v string) url.Values { return good(func(f url.Values) { f.Set(k, v) }) }
	without := func(k string) url.Values { return good(func(f url.Values) { f.Del(k) }) }
	tests := map[string]struct {
		tenant string
		form   url.Values
		status int
		code   string
		aadsts float64
	}{
		"wrong secret":        {tenantID, set("client_secret", "x"), 401, "invalid_client", 7000215},
		"no secret":           {tenantID, without("client_secret"), 401, "invalid_client", 7000218},
		"unknown application": {tenantID, set("client_id", "x"), 400, "unauthorized_client", 700016},
		"no application":      {tenantID, without("client_id"), 400, "invalid_request", 900144},
		"unknown tenant":      {"other", good(func(url.Values) {}), 400, "invalid_request", 90002},
		"no grant type":       {tenantID, without("grant_type"), 400, "invalid_request", 900144},
		"another grant type":  {tenantID, set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), 400, "unsupported_grant_type", 70003},
		"scope by permission": {tenantID, set("scope", "https://management.azure.com/user_impersonation"), 400, "invalid_scope", 1002012},
		"no scope":            {tenantID, without("scope"), 400, "invalid_request", 900144},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			status, m := request(t, testTenant(t), "POST", "/"+tc.tenant+"/oauth2/v2.0/token", tc.form)
			require.Equal(t, tc.status, status, "%v", m)
			require.Equal(t, tc.code, m["error"])
			require.Equal(t, []any{tc.aadsts}, m["error_codes"])
			for _, part := range []string{"AADSTS", "Trace ID: ", "Correlation ID: ", "Timestamp: "} {
				require.Contains(t, m["error_description"], part)
			}
		})
	}
	status, m := request(t, testTenant(t), "GET", "/common/discovery/instance?authorization_endpoint=https://login.fake.test/x/oauth2/v2.0/authorize", nil)
	require.Equal(t, 400, status)
	require.Equal(t, "invalid_instance", m["error"])
	status, m = request(t, testTenant(t), "GET", "/other/v2.0/.well-known/openid-configuration", nil)
	require.Equal(t, 400, status)
	require.Equal(t, "invalid_tenant", m["error"])
}

func TestKeysVerifyTokens(t *testing.T) {
	tenant := testTenant(t)
	token, err := tenant.Token(appID, "https://management.azure.com", time.Now())
	require.NoError(t, err)
	verify(t, tenant, token)
	_, m := request(t, tenant, "GET", "/common/discovery/v2.0/keys", nil)
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	require.NoError(t, err)
	require.Equal(t, parsed.Header["kid"], m["keys"].([]any)[0].(map[string]any)["kid"])
	_, err = tenant.PublicKey("another")
	require.Error(t, err)
	_, err = testTenant(t).PublicKey(parsed.Header["kid"].(string))
	require.NoError(t, err, "tenants have their keys in common")
}

func TestUpdate(t *testing.T) {
	tenant := testTenant(t)
	require.NoError(t, tenant.Update(Config{Tenant: tenantID, Clients: map[string]string{appID: "rotated"}}))
	known, right := tenant.secret(strings.ToUpper(appID), secret)
	require.True(t, known)
	require.False(t, right)
	require.ErrorContains(t, tenant.Update(Config{Tenant: "other"}), "cannot change")
	for _, bad := range []Config{{}, {Tenant: "a/b"}, {Tenant: "t", Clients: map[string]string{"a": ""}}} {
		_, err := NewTenant(bad)
		require.Error(t, err)
	}
}
