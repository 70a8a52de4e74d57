package entra

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

const (
	identityID = "33333333-0000-4000-8000-000000000003"
	issuer     = "https://oidc.aks.example/cluster/"
	subject    = "system:serviceaccount:default:puller"
	userName   = "Lab@acrlab.onmicrosoft.com"
	userID     = "44444444-0000-4000-8000-000000000004"
	armScope   = "https://management.azure.com/.default"
)

// rsaKeyForTests is made once: making one takes a while under the race detector.
var rsaKeyForTests, _ = rsa.GenerateKey(rand.Reader, 2048)

func keySetOf(t *testing.T, kid string, key *rsa.PublicKey) json.RawMessage {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	raw, err := json.Marshal(map[string]any{"keys": []any{
		map[string]string{"kty": "RSA", "kid": kid, "n": enc(key.N.Bytes()), "e": enc(big.NewInt(int64(key.E)).Bytes())},
		map[string]string{"kty": "oct", "kid": "another kind"},
	}})
	require.NoError(t, err)
	return raw
}

// fullTenant has an application with a certificate, a user-assigned identity
// that a cluster's service account stands for, and a user.
func fullTenant(t *testing.T) (*Tenant, tls.Certificate) {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &rsaKeyForTests.PublicKey, rsaKeyForTests)
	require.NoError(t, err)
	tenant, err := NewTenant(Config{Tenant: tenantID, Clients: map[string]string{appID: secret},
		Applications: []Application{{ID: appID, Name: "lab", Certificates: []string{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}}},
		Identities: []Identity{{ClientID: identityID, PrincipalID: "55555555-0000-4000-8000-000000000005", Name: "puller", ResourceID: "/subscriptions/s/x",
			Federations: []Federation{{Issuer: issuer, Subject: subject, Keys: keySetOf(t, "cluster", &rsaKeyForTests.PublicKey)}}}},
		Users: []User{{Name: userName, DisplayName: "Lab User", ObjectID: userID, Password: "p@ss"}},
	})
	require.NoError(t, err)
	return tenant, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: rsaKeyForTests}
}

// sdk serves a tenant and gives the options with which an unmodified SDK finds
// it under its real names, and nothing else.
func sdk(t *testing.T, tenant *Tenant) azcore.ClientOptions {
	t.Helper()
	ca, err := pki.New(pki.AzureSubject)
	require.NoError(t, err)
	s, err := Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, tenant, ca)
	require.NoError(t, err)
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: ca.Pool()},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			require.Equal(t, Host+":443", addr)
			return new(net.Dialer).DialContext(ctx, network, s.Addrs()[0].String())
		},
	}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		require.NoError(t, s.Close())
	})
	return azcore.ClientOptions{Transport: &http.Client{Transport: tr}, Retry: policy.RetryOptions{MaxRetries: -1}}
}

func arm() policy.TokenRequestOptions { return policy.TokenRequestOptions{Scopes: []string{armScope}} }

func assertion(t *testing.T, change func(*jwt.Token)) string {
	t.Helper()
	tok := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": issuer, "sub": subject, "aud": []string{federationAudience},
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()})
	tok.Header["kid"] = "cluster"
	if change != nil {
		change(tok)
	}
	s, err := tok.SignedString(rsaKeyForTests)
	require.NoError(t, err)
	return s
}

func TestAzidentitySignsInByWorkloadIdentity(t *testing.T) {
	tenant, _ := fullTenant(t)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(assertion(t, nil)), 0o600))
	cred, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: sdk(t, tenant), ClientID: identityID, TenantID: tenantID, TokenFilePath: file})
	require.NoError(t, err)
	got, err := cred.GetToken(t.Context(), arm())
	require.NoError(t, err)
	claims := verify(t, tenant, got.Token)
	require.Equal(t, identityID, claims["appid"])
	require.Equal(t, "2", claims["appidacr"])
	require.Equal(t, "55555555-0000-4000-8000-000000000005", claims["oid"])
	require.Equal(t, "/subscriptions/s/x", claims["xms_mirid"])
}

func TestAzidentitySignsInByCertificate(t *testing.T) {
	tenant, cert := fullTenant(t)
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	require.NoError(t, err)
	cred, err := azidentity.NewClientCertificateCredential(tenantID, appID, []*x509.Certificate{leaf}, rsaKeyForTests,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: sdk(t, tenant)})
	require.NoError(t, err)
	got, err := cred.GetToken(t.Context(), arm())
	require.NoError(t, err)
	require.Equal(t, appID, verify(t, tenant, got.Token)["appid"])

	require.NoError(t, tenant.Update(Config{Tenant: tenantID, Clients: map[string]string{appID: secret}}))
	cred, err = azidentity.NewClientCertificateCredential(tenantID, appID, []*x509.Certificate{leaf}, rsaKeyForTests,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: sdk(t, tenant)})
	require.NoError(t, err)
	_, err = cred.GetToken(t.Context(), arm())
	require.ErrorContains(t, err, "AADSTS700027", "a certificate that was removed")
}

func TestAssertionsThatDoNotMatchAreNamed(t *testing.T) {
	tenant, _ := fullTenant(t)
	claim := func(key string, value any) func(*jwt.Token) {
		return func(tok *jwt.Token) { tok.Claims.(jwt.MapClaims)[key] = value }
	}
	for name, tc := range map[string]struct {
		assertion string
		aadsts    float64
	}{
		"issuer":         {assertion(t, claim("iss", "https://other.example/")), 700211},
		"subject":        {assertion(t, claim("sub", "system:serviceaccount:default:other")), 700213},
		"audience":       {assertion(t, claim("aud", "other")), 700212},
		"expired":        {assertion(t, claim("exp", time.Now().Add(-time.Hour).Unix())), 700024},
		"not yet":        {assertion(t, claim("nbf", time.Now().Add(time.Hour).Unix())), 700024},
		"without expiry": {assertion(t, func(tok *jwt.Token) { delete(tok.Claims.(jwt.MapClaims), "exp") }), 700024},
		"unknown key":    {assertion(t, func(tok *jwt.Token) { tok.Header["kid"] = "other" }), 50013},
		"signature":      {changedSignature(assertion(t, nil)), 50013},
		"no token":       {"x", 50027},
	} {
		t.Run(name, func(t *testing.T) {
			status, m := request(t, tenant, "POST", "/"+tenantID+"/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"},
				"client_id": {identityID}, "client_assertion": {tc.assertion}, "client_assertion_type": {assertionType}, "scope": {armScope}})
			require.GreaterOrEqual(t, status, 400)
			require.Equal(t, []any{tc.aadsts}, m["error_codes"], "%v", m)
		})
	}
	status, m := request(t, tenant, "POST", "/"+tenantID+"/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"},
		"client_id": {appID}, "client_assertion": {assertion(t, nil)}, "client_assertion_type": {assertionType}, "scope": {armScope}})
	require.Equal(t, 401, status)
	require.Equal(t, []any{700211.}, m["error_codes"], "another application's federation")
	// Without its signature, and signed by nobody.
	none := strings.Split(assertion(t, nil), ".")
	none[0] = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"cluster"}`))
	status, _ = request(t, tenant, "POST", "/"+tenantID+"/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"},
		"client_id": {identityID}, "client_assertion": {none[0] + "." + none[1] + "."}, "client_assertion_type": {assertionType}, "scope": {armScope}})
	require.Equal(t, 401, status)
}

func changedSignature(token string) string {
	i := strings.LastIndexByte(token, '.')
	return token[:i+1] + strings.Repeat("A", len(token)-i-1)
}

func TestAzidentitySignsInByDeviceCode(t *testing.T) {
	tenant, _ := fullTenant(t)
	shown := ""
	cred, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{ClientOptions: sdk(t, tenant),
		UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
			require.Equal(t, devicePageURL, m.VerificationURL)
			require.Contains(t, m.Message, m.UserCode)
			shown = m.UserCode
			return tenant.Approve(strings.ToLower(m.UserCode), strings.ToLower(userName))
		}})
	require.NoError(t, err)
	got, err := cred.GetToken(t.Context(), arm())
	require.NoError(t, err)
	claims := verify(t, tenant, got.Token)
	require.Equal(t, userName, claims["upn"])
	require.Equal(t, userID, claims["oid"])
	require.Equal(t, AzureCLI, claims["appid"])
	require.Equal(t, "https://management.azure.com", claims["aud"])
	require.ErrorContains(t, tenant.Approve(shown, userName), "no device waits")

	// The refresh token gives one for another resource without asking again.
	shown = ""
	got, err = cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}})
	require.NoError(t, err)
	require.Empty(t, shown)
	require.Equal(t, "https://graph.microsoft.com", verify(t, tenant, got.Token)["aud"])
}

func TestADeviceCodeWaitsForItsUser(t *testing.T) {
	tenant, _ := fullTenant(t)
	now := time.Now()
	tenant.now = func() time.Time { return now }
	begin := func() (device, user string) {
		status, m := request(t, tenant, "POST", "/organizations/oauth2/v2.0/devicecode", url.Values{"client_id": {AzureCLI}, "scope": {armScope + " offline_access openid profile"}})
		require.Equal(t, 200, status, "%v", m)
		return m["device_code"].(string), m["user_code"].(string)
	}
	poll := func(device, app string) (int, map[string]any) {
		return request(t, tenant, "POST", "/organizations/oauth2/v2.0/token", url.Values{"client_id": {app},
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device}, "client_info": {"1"}})
	}
	device, user := begin()
	status, m := poll(device, AzureCLI)
	require.Equal(t, 400, status)
	require.Equal(t, "authorization_pending", m["error"])
	require.Equal(t, []any{70016.}, m["error_codes"])
	_, m = poll(device, appID)
	require.Equal(t, "invalid_grant", m["error"], "another application's code")

	require.Error(t, tenant.Approve(user, "nobody@acrlab.onmicrosoft.com"))
	// As a person does, in a browser.
	status, _ = request(t, tenant, "POST", "/device", url.Values{"otc": {user}, "username": {userName}})
	require.Equal(t, 200, status)
	status, m = poll(device, AzureCLI)
	require.Equal(t, 200, status, "%v", m)
	require.NotEmpty(t, m["refresh_token"])
	require.Equal(t, "1", m["foci"])
	info, err := base64.RawURLEncoding.DecodeString(m["client_info"].(string))
	require.NoError(t, err)
	require.JSONEq(t, `{"uid":"`+userID+`","utid":"`+tenantID+`"}`, string(info))
	require.Equal(t, userName, verify(t, tenant, m["id_token"].(string))["preferred_username"])
	_, m = poll(device, AzureCLI)
	require.Equal(t, "bad_verification_code", m["error"], "a code is good once")

	device, user = begin()
	status, _ = request(t, tenant, "POST", "/common/oauth2/deviceauth", url.Values{"otc": {user}, "decline": {"1"}})
	require.Equal(t, 200, status)
	_, m = poll(device, AzureCLI)
	require.Equal(t, "authorization_declined", m["error"])

	device, user = begin()
	now = now.Add(deviceLife)
	require.Error(t, tenant.Approve(user, userName))
	_, m = poll(device, AzureCLI)
	require.Equal(t, "expired_token", m["error"])
	status, _ = request(t, tenant, "POST", "/device", url.Values{"otc": {"nonsense"}, "username": {userName}})
	require.Equal(t, 400, status)
}

func TestRefreshTokensEnd(t *testing.T) {
	tenant, _ := fullTenant(t)
	now := time.Now()
	tenant.now = func() time.Time { return now }
	signIn := url.Values{"client_id": {AzureCLI}, "grant_type": {"password"}, "username": {userName}, "password": {"p@ss"}, "scope": {armScope + " offline_access"}}
	status, m := request(t, tenant, "POST", "/organizations/oauth2/v2.0/token", signIn)
	require.Equal(t, 200, status, "%v", m)
	refresh := func(app string) map[string]any {
		_, r := request(t, tenant, "POST", "/common/oauth2/v2.0/token", url.Values{"client_id": {app}, "grant_type": {"refresh_token"},
			"refresh_token": {m["refresh_token"].(string)}})
		return r
	}
	require.Equal(t, "https://management.azure.com", verify(t, tenant, refresh(AzureCLI)["access_token"].(string))["aud"], "the sign-in's own scope")
	require.NotEmpty(t, refresh(AzureCLI)["refresh_token"])
	require.NotEmpty(t, refresh("1950a258-227b-4e31-a9cf-717495945fc2")["access_token"], "an application of the same family")
	require.Equal(t, []any{700005.}, refresh(appID)["error_codes"])
	now = now.Add(refreshLife)
	require.Equal(t, []any{700082.}, refresh(AzureCLI)["error_codes"])
	now = now.Add(-time.Hour)
	require.NoError(t, tenant.Update(Config{Tenant: tenantID}))
	require.Equal(t, []any{50034.}, refresh(AzureCLI)["error_codes"])
	status, m = request(t, tenant, "POST", "/organizations/oauth2/v2.0/token", signIn)
	require.Equal(t, 400, status)
	require.Equal(t, []any{50034.}, m["error_codes"])

	again, _ := fullTenant(t)
	signIn.Set("password", "wrong")
	_, m = request(t, again, "POST", "/organizations/oauth2/v2.0/token", signIn)
	require.Equal(t, []any{50126.}, m["error_codes"])
	_, m = request(t, again, "GET", "/common/userrealm/"+userName+"?api-version=1.0", nil)
	require.Equal(t, "Managed", m["account_type"])
}

// ADAL, and az before 2.30: resource instead of scope, numbers as strings.
func TestTheOlderEndpointsSpeakOfResources(t *testing.T) {
	tenant, _ := fullTenant(t)
	const resource = "https://management.core.windows.net/"
	status, m := request(t, tenant, "POST", "/"+tenantID+"/oauth2/token", url.Values{"client_id": {appID}, "client_secret": {secret},
		"grant_type": {"client_credentials"}, "resource": {resource}})
	require.Equal(t, 200, status, "%v", m)
	require.Equal(t, "3599", m["expires_in"])
	require.Equal(t, resource, m["resource"])
	require.Equal(t, resource, verify(t, tenant, m["access_token"].(string))["aud"])

	status, m = request(t, tenant, "POST", "/common/oauth2/devicecode", url.Values{"client_id": {AzureCLI}, "resource": {resource}})
	require.Equal(t, 200, status, "%v", m)
	require.Equal(t, devicePageURL, m["verification_url"])
	require.Equal(t, "5", m["interval"])
	require.NoError(t, tenant.Approve(m["user_code"].(string), userName))
	status, m = request(t, tenant, "POST", "/common/oauth2/token", url.Values{"client_id": {AzureCLI}, "grant_type": {"device_code"}, "code": {m["device_code"].(string)}})
	require.Equal(t, 200, status, "%v", m)
	require.Equal(t, resource, m["resource"])
	status, m = request(t, tenant, "POST", "/common/oauth2/token", url.Values{"client_id": {AzureCLI}, "grant_type": {"refresh_token"}, "refresh_token": {m["refresh_token"].(string)}})
	require.Equal(t, 200, status, "%v", m)
	require.Equal(t, resource, verify(t, tenant, m["access_token"].(string))["aud"])
}

// Python, Go and .NET ask for the whole list; a custom cloud asks for one host.
func TestInstanceDiscoveryAnswersEveryForm(t *testing.T) {
	tenant, _ := fullTenant(t)
	for _, authority := range []string{
		"https://login.microsoftonline.com/common/oauth2/authorize",
		"https://login.microsoftonline.com/" + tenantID + "/oauth2/v2.0/authorize",
		"https://login.windows.net/organizations/oauth2/v2.0/authorize",
		"https://sts.windows.net/" + tenantID + "/",
	} {
		status, m := request(t, tenant, "GET", "/common/discovery/instance?api-version=1.1&authorization_endpoint="+url.QueryEscape(authority), nil)
		require.Equal(t, 200, status, authority)
		require.Len(t, m["metadata"], len(clouds))
		endpoint, err := url.Parse(m["tenant_discovery_endpoint"].(string))
		require.NoError(t, err)
		status, m = request(t, tenant, "GET", endpoint.Path, nil)
		require.Equal(t, 200, status, endpoint)
		require.NotEmpty(t, m["token_endpoint"])
	}
	_, m := request(t, tenant, "GET", "/common/discovery/instance?api-version=1.0&authorization_endpoint="+
		url.QueryEscape("https://login.microsoftonline.com/common/oauth2/authorize"), nil)
	require.NotContains(t, m, "metadata")
	_, m = request(t, tenant, "GET", "/organizations/v2.0/.well-known/openid-configuration", nil)
	require.Equal(t, "https://login.microsoftonline.com/{tenantid}/v2.0", m["issuer"])
}

func TestTenantsThatCannotBeAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"certificate": {Config{Tenant: "t", Applications: []Application{{ID: "a", Certificates: []string{"x"}}}}, "application a: certificate 1 is not in PEM"},
		"federation":  {Config{Tenant: "t", Applications: []Application{{ID: "a", Federations: []Federation{{Issuer: "i"}}}}}, "needs issuer and subject"},
		"keys":        {Config{Tenant: "t", Identities: []Identity{{ClientID: "c", PrincipalID: "p", Federations: []Federation{{Issuer: "i", Subject: "s", Keys: json.RawMessage(`[]`)}}}}}, "keys of the federated issuer i"},
		"weak key":    {Config{Tenant: "t", Identities: []Identity{{ClientID: "c", PrincipalID: "p", Federations: []Federation{{Issuer: "i", Subject: "s", Keys: json.RawMessage(`{"keys":[{"kty":"RSA","kid":"k","n":"AQ","e":"AQAB"}]}`)}}}}}, "not usable"},
		"curve":       {Config{Tenant: "t", Identities: []Identity{{ClientID: "c", PrincipalID: "p", Federations: []Federation{{Issuer: "i", Subject: "s", Keys: json.RawMessage(`{"keys":[{"kty":"EC","kid":"k","crv":"P-256","x":"AQ","y":"AQ"}]}`)}}}}}, "coordinate"},
		"identity":    {Config{Tenant: "t", Identities: []Identity{{Name: "n", ClientID: "c"}}}, `managed identity "n" without`},
		"taken":       {Config{Tenant: "t", Clients: map[string]string{"C": "s"}, Identities: []Identity{{Name: "n", ClientID: "c", PrincipalID: "p"}}}, "another application has its client id"},
		"user":        {Config{Tenant: "t", Users: []User{{Name: "lab"}}}, `user "lab"`},
		"user twice":  {Config{Tenant: "t", Users: []User{{Name: "a@b", ObjectID: "1"}, {Name: "A@B", ObjectID: "2"}}}, "given twice"},
	} {
		_, err := NewTenant(tc.cfg)
		require.ErrorContains(t, err, tc.want, name)
	}
}

func FuzzTokenRequests(f *testing.F) {
	tenant, err := NewTenant(Config{Tenant: tenantID, Clients: map[string]string{appID: secret}, Users: []User{{Name: userName, ObjectID: userID}},
		Identities: []Identity{{ClientID: identityID, PrincipalID: "p", Federations: []Federation{{Issuer: issuer, Subject: subject}}}}})
	require.NoError(f, err)
	f.Add("/common/oauth2/v2.0/token", "grant_type=device_code&code=x&client_id="+AzureCLI)
	f.Add("/"+tenantID+"/oauth2/token", "grant_type=client_credentials&client_id="+identityID+"&client_assertion=a.b.c&client_assertion_type="+url.QueryEscape(assertionType))
	f.Add("/common/oauth2/v2.0/devicecode", "client_id=x&scope=%zz")
	f.Fuzz(func(t *testing.T, path, form string) {
		u, err := url.ParseRequestURI("/" + strings.TrimPrefix(path, "/"))
		if err != nil || strings.ContainsAny(path, " \r\n") {
			t.Skip()
		}
		r, err := http.NewRequest("POST", "https://"+Host+u.EscapedPath(), strings.NewReader(form))
		if err != nil {
			t.Skip()
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := &discard{header: http.Header{}}
		Handler(tenant).ServeHTTP(w, r)
		require.NotEqual(t, 500, w.status, form)
	})
}

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
