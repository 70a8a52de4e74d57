package graph

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/entra"
	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	app      = "11111111-0000-4000-8000-000000000001"
	identity = "33333333-0000-4000-8000-000000000003"
	machine  = "55555555-0000-4000-8000-000000000005"
	userID   = "44444444-0000-4000-8000-000000000004"
	user     = "o'lab@acrlab.onmicrosoft.com"
)

func start(t *testing.T) (*entra.Tenant, *http.Client) {
	t.Helper()
	tenant, err := entra.NewTenant(entra.Config{Tenant: "t", Clients: map[string]string{app: "s"}, Applications: []entra.Application{{ID: app, Name: "acrlab"}},
		Identities: []entra.Identity{{ClientID: identity, PrincipalID: machine, Name: "client", ResourceID: "/subscriptions/s/vm"}},
		Users:      []entra.User{{Name: user, DisplayName: "Lab User", ObjectID: userID, Password: "p"}}})
	require.NoError(t, err)
	ca, err := pki.New(pki.AzureSubject)
	require.NoError(t, err)
	s, err := Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, tenant, ca)
	require.NoError(t, err)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		require.Equal(t, Host+":443", addr)
		return new(net.Dialer).DialContext(ctx, network, s.Addrs()[0].String())
	}}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		require.NoError(t, s.Close())
	})
	return tenant, &http.Client{Transport: tr}
}

func ask(t *testing.T, c *http.Client, token, method, path, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://"+Host+path, strings.NewReader(body))
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m), string(raw))
	return resp.StatusCode, m
}

// What "az role assignment create --assignee" and "list" ask, in turn.
func TestWhatAzAsksForAssignees(t *testing.T) {
	tenant, c := start(t)
	token, err := tenant.Token(app, "https://graph.microsoft.com/", time.Now())
	require.NoError(t, err)
	filtered := func(collection, filter string) []any {
		status, m := ask(t, c, token, "GET", "/v1.0/"+collection+"?$filter="+url.QueryEscape(filter), "")
		require.Equal(t, 200, status, "%v", m)
		return m["value"].([]any)
	}
	for filter, want := range map[string]string{
		"servicePrincipalNames/any(c:c eq '" + app + "')":      tenant.ObjectID(app),
		"servicePrincipalNames/any(c:c eq '" + identity + "')": machine,
		"appId eq '" + strings.ToUpper(app) + "'":              tenant.ObjectID(app),
		"displayName eq 'client'":                              machine,
		"startswith(displayName,'ACR') or appId eq 'x'":        tenant.ObjectID(app),
		"alternativeNames/any(n:n eq '/subscriptions/s/vm')":   machine,
		"servicePrincipalType eq 'ManagedIdentity'":            machine,
	} {
		list := filtered("servicePrincipals", filter)
		require.Len(t, list, 1, filter)
		require.Equal(t, want, list[0].(map[string]any)["id"], filter)
	}
	require.Empty(t, filtered("servicePrincipals", "appId eq 'x'"))
	require.Empty(t, filtered("servicePrincipals", "servicePrincipalNames/any(c:c eq '')"))
	require.Len(t, filtered("users", "userPrincipalName eq 'o''lab@acrlab.onmicrosoft.com'"), 1)
	require.Empty(t, filtered("groups", "displayName eq 'x'"))
	require.Len(t, filtered("applications", "appId eq '"+app+"'"), 1)
	require.Empty(t, filtered("applications", "appId eq '"+identity+"'"), "a managed identity has no application")

	status, m := ask(t, c, token, "POST", "/v1.0/directoryObjects/getByIds", `{"ids":["`+machine+`","`+userID+`","unknown"],"types":["user","group","servicePrincipal"]}`)
	require.Equal(t, 200, status)
	require.Len(t, m["value"], 2)
	for _, path := range []string{"/v1.0/servicePrincipals/" + machine, "/v1.0/servicePrincipals(appId='" + identity + "')", "/v1.0/users/" + user, "/v1.0/directoryObjects/" + userID} {
		status, m = ask(t, c, token, "GET", path, "")
		require.Equal(t, 200, status, "%s %v", path, m)
	}
	for path, want := range map[string]int{"/v1.0/servicePrincipals/nope": 404, "/v1.0/servicePrincipals(appId='nope')": 404, "/v1.0/groups/x": 404, "/v1.0/nope": 400,
		"/v2.0/users": 400, "/v1.0/users?$filter=" + url.QueryEscape("surname ge 'x'"): 400, "/v1.0/servicePrincipals/a/b": 400} {
		status, m = ask(t, c, token, "GET", path, "")
		require.Equal(t, want, status, path)
		require.NotEmpty(t, m["error"].(map[string]any)["message"])
	}
	status, _ = ask(t, c, token, "POST", "/v1.0/directoryObjects/getByIds", "x")
	require.Equal(t, 400, status)
}

func TestOnlyPeopleAreMe(t *testing.T) {
	tenant, c := start(t)
	token, err := tenant.Token(app, "https://graph.microsoft.com", time.Now())
	require.NoError(t, err)
	status, m := ask(t, c, token, "GET", "/v1.0/me", "")
	require.Equal(t, 400, status)
	require.Equal(t, "/me request is only valid with delegated authentication flow.", m["error"].(map[string]any)["message"])

	status, m = ask(t, c, signIn(t, tenant), "GET", "/v1.0/me?$select=id", "")
	require.Equal(t, 200, status)
	require.Equal(t, user, m["userPrincipalName"])
}

// signIn takes a user's token from the tenant's own endpoint.
func signIn(t *testing.T, tenant *entra.Tenant) string {
	t.Helper()
	form := url.Values{"client_id": {entra.AzureCLI}, "grant_type": {"password"}, "username": {user}, "password": {"p"}, "scope": {"https://graph.microsoft.com/.default"}}
	r, err := http.NewRequestWithContext(t.Context(), "POST", "https://"+entra.Host+"/organizations/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var w recorder
	entra.Handler(tenant).ServeHTTP(&w, r)
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(w.String()), &m))
	require.NotEmpty(t, m["access_token"], "%v", m)
	return m["access_token"].(string)
}

type recorder struct {
	strings.Builder
	header http.Header
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}
func (r *recorder) WriteHeader(int) {}

func TestTokensOfOthersAreRefused(t *testing.T) {
	tenant, c := start(t)
	other, err := entra.NewTenant(entra.Config{Tenant: "u", Clients: map[string]string{app: "s"}})
	require.NoError(t, err)
	for name, token := range map[string]func() (string, error){
		"another tenant's": func() (string, error) { return other.Token(app, "https://graph.microsoft.com", time.Now()) },
		"none":             func() (string, error) { return "", nil },
		"garbage":          func() (string, error) { return "x", nil },
		"for ARM":          func() (string, error) { return tenant.Token(app, "https://management.azure.com", time.Now()) },
		"expired": func() (string, error) {
			return tenant.Token(app, "https://graph.microsoft.com", time.Now().Add(-2*entra.Lifetime))
		},
	} {
		tok, err := token()
		require.NoError(t, err)
		status, m := ask(t, c, tok, "GET", "/v1.0/servicePrincipals", "")
		require.Equal(t, 401, status, name)
		require.Equal(t, "InvalidAuthenticationToken", m["error"].(map[string]any)["code"], name)
	}
}
