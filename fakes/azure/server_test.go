package azure

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

// verifyByName takes the application id itself for a token.
func verifyByName(token string) (Caller, error) {
	if token == "bad" {
		return Caller{}, errors.New("no token")
	}
	return Caller{AppID: token, ObjectID: "oid-" + token, Tenant: "tenant1"}, nil
}

type client struct {
	t       *testing.T
	handler http.Handler
	token   string
}

func newClient(t *testing.T) *client {
	return &client{t, Handler(testStore(t), Front{Clients: []string{"app1"}}, verifyByName), "app1"}
}

func (c *client) do(method, path, version, body string) (*http.Response, map[string]any) {
	c.t.Helper()
	u := &url.URL{Path: path}
	if i := strings.IndexByte(path, '?'); i >= 0 {
		u.Path, u.RawQuery = path[:i], path[i+1:]+"&"
	}
	if version != "" {
		u.RawQuery += "api-version=" + version
	}
	req := httptest.NewRequest(method, u.String(), strings.NewReader(body))
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, req)
	resp := w.Result()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	var m map[string]any
	if len(raw) > 0 {
		require.NoError(c.t, json.Unmarshal(raw, &m), string(raw))
	}
	return resp, m
}

func (c *client) get(path string) map[string]any {
	c.t.Helper()
	resp, m := c.do(http.MethodGet, path, versionFor(path), "")
	require.Equal(c.t, http.StatusOK, resp.StatusCode, "%v", m)
	return m
}

// versionFor is an api-version that the addressed type has.
func versionFor(path string) string {
	path = strings.ToLower(path)
	for part, version := range map[string]string{
		"/privatednszones": "2024-06-01", "/locks": "2016-09-01", "/register": "2022-09-01", "/unregister": "2022-09-01", "/roleassignments": "2022-04-01", "/roledefinitions": "2022-04-01",
		"/policy": "2021-06-01", "/agentpools": "2019-06-01-preview", "/deployments": "2025-04-01", "microsoft.compute": "2024-07-01",
	} {
		if strings.Contains(path, part) {
			return version
		}
	}
	_, provider, ok := strings.Cut(path, "/providers/")
	switch namespace, _, below := strings.Cut(provider, "/"); {
	case !ok, !below:
		return "2022-09-01"
	case namespace == "microsoft.network":
		return "2025-01-01"
	default:
		return "2025-11-01"
	}
}

// at walks maps and lists: at(m, "properties", "subnets", 0, "name").
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			require.True(t, ok, "%v in %v", path, v)
			v = m[p]
		case int:
			l, ok := v.([]any)
			require.True(t, ok && p < len(l), "%v in %v", path, v)
			v = l[p]
		}
	}
	return v
}

func names(t *testing.T, m map[string]any) []string {
	t.Helper()
	out := []string{}
	for _, v := range at(t, m, "value").([]any) {
		out = append(out, at(t, v, "name").(string))
	}
	return out
}

func TestErrors(t *testing.T) {
	tests := map[string]struct {
		token, method, path, version string
		status                       int
		code                         string
	}{
		"no token":              {"", "GET", hub, "2025-01-01", 401, "AuthenticationFailed"},
		"a bad token":           {"bad", "GET", hub, "2025-01-01", 401, "InvalidAuthenticationToken"},
		"token before version":  {"", "GET", hub, "", 401, "AuthenticationFailed"},
		"no api-version":        {"app1", "GET", hub, "", 400, "MissingApiVersionParameter"},
		"a bad api-version":     {"app1", "GET", hub, "latest", 400, "InvalidApiVersionParameter"},
		"no role":               {"app2", "GET", hub, "2025-01-01", 403, "AuthorizationFailed"},
		"missing resource":      {"app1", "GET", hub + "x", "2025-01-01", 404, "ResourceNotFound"},
		"missing group":         {"app1", "GET", strings.Replace(hub, "rg1", "rg2", 1), "2025-01-01", 404, "ResourceGroupNotFound"},
		"missing subscription":  {"app1", "GET", strings.Replace(hub, "sub1", "sub2", 1), "2025-01-01", 404, "SubscriptionNotFound"},
		"missing subnet":        {"app1", "GET", hub + "/subnets/none", "2025-01-01", 404, "NotFound"},
		"children of none":      {"app1", "GET", hub + "x/subnets", "2025-01-01", 404, "ResourceNotFound"},
		"unknown provider":      {"app1", "GET", group + "/providers/Microsoft.Nothing/things/x", "2025-01-01", 404, "InvalidResourceNamespace"},
		"a path trick":          {"app1", "GET", group + "/../rg2", "2025-01-01", 400, "InvalidResourceId"},
		"an odd method":         {"app1", "POST", hub, "2025-01-01", 405, "MethodNotAllowed"},
		"an unsupported filter": {"app1", "GET", "/subscriptions/sub1/resources?$filter=tagName%20eq%20'a'", "2021-04-01", 400, "InvalidFilterInQueryString"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			c.token = tc.token
			resp, m := c.do(tc.method, tc.path, tc.version, "")
			require.Equal(t, tc.status, resp.StatusCode, "%v", m)
			require.Equal(t, tc.code, at(t, m, "error", "code"))
			require.NotEmpty(t, at(t, m, "error", "message"))
			require.NotEmpty(t, resp.Header.Get("x-ms-request-id"))
			if tc.status == 401 {
				require.Contains(t, resp.Header.Get("WWW-Authenticate"), `Bearer authorization_uri="https://login.windows.net/tenant1", error="invalid_token"`)
			}
		})
	}
}

func TestAuthorizationFailedNamesWhoAndWhat(t *testing.T) {
	c := newClient(t)
	c.token = "app2"
	_, m := c.do("GET", registry, "2025-11-01", "")
	require.Equal(t, "The client 'app2' with object id 'oid-app2' does not have authorization to perform action 'Microsoft.ContainerRegistry/registries/read' over scope '"+registry+
		"' or the scope is invalid. If access was recently granted, please refresh your credentials.", at(t, m, "error", "message"))
}

func TestSubscriptions(t *testing.T) {
	c := newClient(t)
	m := c.get("/subscriptions")
	require.Equal(t, "sub1", at(t, m, "value", 0, "subscriptionId"))
	require.Equal(t, "tenant1", at(t, m, "value", 0, "tenantId"))
	require.Equal(t, "Enabled", at(t, c.get("/subscriptions/sub1"), "state"))
	require.Equal(t, []string{"rg1"}, names(t, c.get("/subscriptions/sub1/resourceGroups")))
	require.Equal(t, "rg1", at(t, c.get("/subscriptions/sub1/resourcegroups/RG1"), "name"))
	c.token = "app2"
	require.Empty(t, at(t, c.get("/subscriptions"), "value"), "a stranger sees no subscription")
}

// The request that az sends first for any registry.
func TestResourcesByType(t *testing.T) {
	c := newClient(t)
	_, m := c.do("GET", "/subscriptions/sub1/resources?$filter="+url.QueryEscape("resourceType eq 'Microsoft.ContainerRegistry/registries'"), "2021-04-01", "")
	require.Equal(t, []string{"myregistry"}, names(t, m))
	require.Equal(t, registry, at(t, m, "value", 0, "id"))
	require.NotContains(t, at(t, m, "value", 0), "properties")
	_, m = c.do("GET", "/subscriptions/sub1/resources?$filter="+url.QueryEscape("resourceType eq 'Microsoft.ContainerRegistry/registries' and name eq 'other'"), "2021-04-01", "")
	require.Empty(t, at(t, m, "value"))
}

func TestLists(t *testing.T) {
	c := newClient(t)
	for path, want := range map[string][]string{
		"/subscriptions/sub1/providers/Microsoft.Network/virtualNetworks": {"hub"},
		network + "virtualNetworks":                                       {"hub"},
		network + "routeTables":                                           {},
		hub + "/subnets":                                                  {"clients", "endpoints"},
		hub + "/virtualNetworkPeerings":                                   {},
		network + "networkSecurityGroups/nsg/securityRules":               {"deny"},
		zoneID + "/A":                                                     {"myregistry"},
		zoneID + "/ALL":                                                   {"myregistry", "@"},
		zoneID + "/virtualNetworkLinks":                                   {"hub"},
		registry + "/replications":                                        {"westus"},
		registry + "/privateEndpointConnections":                          {"pe.1"},
		network + "networkInterfaces":                                     {},
		network + "privateEndpoints":                                      {"pe"},
	} {
		require.Equal(t, want, names(t, c.get(path)), path)
	}
}

func TestNetworkRulesByVersionAndSKU(t *testing.T) {
	for _, tc := range []struct {
		sku, version string
		rules        bool // networkRuleSet
		subnets      bool // virtualNetworkRules
	}{
		{"Premium", "2020-11-01-preview", true, true},
		{"Premium", "2021-06-01-preview", true, true},
		{"Premium", "2021-09-01", true, false},
		{"Premium", "2022-02-01-preview", true, false},
		{"Premium", "2026-09-01-preview", true, false},
		{"Standard", "2020-11-01-preview", false, false},
		{"Basic", "2025-11-01", false, false},
	} {
		s := testStore(t)
		_, err := s.Patch(registry, []byte(`{"sku":{"name":"`+tc.sku+`"}}`))
		require.NoError(t, err)
		c := &client{t, Handler(s, Front{Clients: []string{"app1"}}, verifyByName), "app1"}
		_, m := c.do("GET", registry, tc.version, "")
		set, ok := at(t, m, "properties").(map[string]any)["networkRuleSet"]
		require.Equal(t, tc.rules, ok, "%+v", tc)
		if ok {
			_, ok = set.(map[string]any)["virtualNetworkRules"]
			require.Equal(t, tc.subnets, ok, "%+v", tc)
		}
	}
}

func TestHidingDoesNotForget(t *testing.T) {
	c := newClient(t)
	_, before := c.do("GET", registry, "2025-11-01", "")
	body, err := json.Marshal(before)
	require.NoError(t, err)
	resp, _ := c.do("PUT", registry, "2025-11-01", string(body)) // a client that reads and writes back
	require.Equal(t, http.StatusOK, resp.StatusCode)
	_, m := c.do("GET", registry, "2020-11-01-preview", "")
	require.Equal(t, hub+"/subnets/clients", at(t, m, "properties", "networkRuleSet", "virtualNetworkRules", 0, "id"))
}

func TestComputedParts(t *testing.T) {
	c := newClient(t)
	m := c.get(registry)
	require.Equal(t, "Pending", at(t, m, "properties", "privateEndpointConnections", 0, "properties", "privateLinkServiceConnectionState", "status"))
	m = c.get(zoneID)
	require.EqualValues(t, 2, at(t, m, "properties", "numberOfRecordSets"), "with the SOA")
	require.EqualValues(t, 1, at(t, m, "properties", "numberOfVirtualNetworkLinks"))
	m = c.get(zoneID + "/A/myregistry")
	require.Equal(t, "myregistry.privatelink.azurecr.io.", at(t, m, "properties", "fqdn"))
	m = c.get(hub)
	require.Equal(t, hub+"/subnets/clients", at(t, m, "properties", "subnets", 0, "id"))
	m = c.get(registry + "/privateLinkResources")
	require.Equal(t, []any{"registry", "registry_data_eastus", "registry_data_westus"}, at(t, m, "value", 0, "properties", "requiredMembers"))
}

func TestWrites(t *testing.T) {
	c := newClient(t)
	link, hub := zoneID+"/virtualNetworkLinks/spoke", network+"virtualNetworks/spoke"
	resp, _ := c.do("PUT", hub, "2025-01-01", `{"location":"eastus","properties":{"addressSpace":{"addressPrefixes":["10.80.0.0/16"]}}}`)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	resp, _ = c.do("PUT", link, "2024-06-01", `{"location":"global","properties":{"registrationEnabled":false,"virtualNetwork":{"id":"`+hub+`"}}}`)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	resp, _ = c.do("PUT", link, "2024-06-01", `{"location":"global","properties":{"virtualNetwork":{"id":"`+hub+`"}}}`)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	resp, _ = c.do("DELETE", link, "2024-06-01", "")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	resp, _ = c.do("DELETE", link, "2024-06-01", "")
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	resp, m := c.do("PUT", link, "2024-06-01", `{`)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode, "%v", m)
	resp, _ = c.do("PUT", strings.Replace(link, "rg1", "rg9", 1), "2024-06-01", `{}`)
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	resp, _ = c.do("PUT", hub+"/subnets/other", "2024-06-01", `{"name":"different"}`)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
}

func TestRegistration(t *testing.T) {
	c := newClient(t)
	provider := "/subscriptions/sub1/providers/Microsoft.ContainerRegistry"
	require.Equal(t, "Registered", at(t, c.get(provider), "registrationState"))
	resp, _ := c.do("POST", provider+"/unregister", "2022-09-01", "")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "NotRegistered", at(t, c.get(provider), "registrationState"))
	resp, _ = c.do("POST", provider+"/register", "2022-09-01", "")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "Registered", at(t, c.get(provider), "registrationState"))
}

func TestCheckNameAvailability(t *testing.T) {
	c := newClient(t)
	path := "/subscriptions/sub1/providers/Microsoft.ContainerRegistry/checkNameAvailability"
	for name, want := range map[string]any{"MyRegistry": "AlreadyExists", "my-registry": "Invalid", "ab": "Invalid", "another1": nil} {
		_, m := c.do("POST", path, "2025-11-01", `{"name":"`+name+`","type":"Microsoft.ContainerRegistry/registries"}`)
		require.Equal(t, want == nil, at(t, m, "nameAvailable"), name)
		require.Equal(t, want, m["reason"], name)
	}
}

func TestServeOverTLSAndClose(t *testing.T) {
	ca, err := pki.New(pki.AzureSubject)
	require.NoError(t, err)
	s, err := Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, testStore(t), Front{}, ca, verifyByName)
	require.NoError(t, err)
	tr := &http.Transport{ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	tr.TLSClientConfig = tlsFor(ca)
	req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+s.Addrs()[0].String()+"/subscriptions?api-version=2022-12-01", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer app1")
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NotContains(t, string(body), "sub1")
	require.NoError(t, s.Update(Front{Clients: []string{"app1"}}))
	resp, err = tr.RoundTrip(req.Clone(t.Context()))
	require.NoError(t, err)
	body, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(body), "sub1")
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "closing twice is harmless")
}

// FuzzRequest: no path, query or body brings the server down, and no write
// leaves a state that cannot be read again.
func FuzzRequest(f *testing.F) {
	f.Add("GET", hub+"/subnets", "api-version=2025-01-01", "")
	f.Add("PUT", hub, "api-version=2025-01-01", `{"properties":{"subnets":[{"name":"a"}]}}`)
	f.Add("PATCH", registry, "api-version=2025-11-01", `{"properties":null}`)
	f.Add("PUT", endpoint, "api-version=2025-01-01", `{"location":"eastus","properties":{"subnet":{"id":"`+hub+`/subnets/endpoints"},"privateLinkServiceConnections":[{"name":"c","properties":{"privateLinkServiceId":"`+registry+`","groupIds":["registry"]}}]}}`)
	f.Add("DELETE", group, "api-version=2022-09-01", "")
	f.Fuzz(fuzzRequest)
}

func fuzzRequest(t *testing.T, method, path, query, body string) {
	s := testStore(t)
	h := Handler(s, Front{Clients: []string{"app1"}}, verifyByName)
	req := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"Authorization": {"Bearer app1"}},
		Body: io.NopCloser(strings.NewReader(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code == http.StatusInternalServerError {
		t.Fatalf("%s %s: %s", method, path, w.Body)
	}
	if _, err := NewStore(s.Snapshot()); err != nil {
		t.Fatalf("%s %s left %v", method, path, err)
	}
}
