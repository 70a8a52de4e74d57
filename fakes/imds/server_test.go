package imds

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	clientID   = "11111111-0000-4000-8000-000000000001"
	principal  = "22222222-0000-4000-8000-000000000002"
	identityID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller"
	ownID      = "33333333-0000-4000-8000-000000000003"
	armScope   = "https://management.azure.com/.default"
	tokenPath  = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/"
)

func machine(ids ...Identity) Machine {
	return Machine{ResourceID: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/client", Name: "client", VMID: "vm-1",
		Size: "Standard_B2s", Location: "eastus", Subscription: "s", ResourceGroup: "g", Tenant: "t", Subnet: "10.0.1.0/24",
		Tags: map[string]string{"b": "2", "a": "1"}, Identities: ids}
}

var (
	userAssigned = Identity{ClientID: clientID, PrincipalID: principal, ResourceID: identityID}
	system       = Identity{ClientID: ownID, PrincipalID: "44444444-0000-4000-8000-000000000004"}
)

func issue(id Identity, resource string, _ time.Time) (string, time.Duration, error) {
	if resource == "fail" {
		return "", 0, errors.New("no")
	}
	return id.ClientID + " for " + resource, time.Hour, nil
}

// start serves the machine that asks from 127.0.0.1 and gives a transport to it.
func start(t *testing.T, m Machine) (*Server, *http.Client) {
	t.Helper()
	s, err := Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		Config{Machines: map[string]Machine{"127.0.0.1": m}}, issue)
	require.NoError(t, err)
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		require.Equal(t, Address+":80", addr)
		return new(net.Dialer).DialContext(ctx, network, s.Addrs()[0].String())
	}}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		require.NoError(t, s.Close())
	})
	return s, &http.Client{Transport: tr}
}

// azidentity, unmodified, by each way of naming an identity.
func TestAzidentityGetsTokensOfManagedIdentities(t *testing.T) {
	s, client := start(t, machine(userAssigned, system))
	options := azcore.ClientOptions{Transport: client, Retry: policy.RetryOptions{MaxRetries: -1}}
	token := func(id azidentity.ManagedIDKind) (string, error) {
		cred, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: options, ID: id})
		require.NoError(t, err)
		got, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{armScope}})
		return got.Token, err
	}
	for want, ids := range map[string][]azidentity.ManagedIDKind{
		ownID:    {nil},
		clientID: {azidentity.ClientID(strings.ToUpper(clientID)), azidentity.ObjectID(principal), azidentity.ResourceID(identityID)},
	} {
		for _, id := range ids {
			got, err := token(id)
			require.NoError(t, err, "%v", id)
			require.Equal(t, want+" for https://management.azure.com", got)
		}
	}
	// A name of its own, since azidentity keeps tokens by identity.
	_, err := token(azidentity.ClientID("another"))
	require.ErrorContains(t, err, "Identity not found")

	// A machine without identities: azidentity must see that there is none,
	// and let the next credential of a chain try.
	require.NoError(t, s.Update(Config{Machines: map[string]Machine{"127.0.0.1": machine()}}))
	cred, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: options})
	require.NoError(t, err)
	_, err = cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}})
	require.ErrorContains(t, err, "failed to authenticate a system assigned identity")
	require.ErrorContains(t, err, "Identity not found")
	_, refused := errors.AsType[*azidentity.AuthenticationFailedError](err)
	require.False(t, refused, "unavailable, not refused")
}

func ask(t *testing.T, m Machine, method, target string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+Address+target, nil)
	require.NoError(t, err)
	r.Header.Set("Metadata", "true")
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Set(k, v)
	}
	_, client := start(t, m)
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(raw)
}

func TestTokenRequestsThatAreWrongAreToldWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		machine Machine
		target  string
		header  string
		want    string
	}{
		"no header":     {machine(system), tokenPath, "Metadata: ", "Required metadata header not specified"},
		"forwarded":     {machine(system), tokenPath, "X-Forwarded-For: 10.0.0.1", "X-Forwarded-For header is present"},
		"no version":    {machine(system), "/metadata/identity/oauth2/token?resource=x", "A: b", "Required query variable 'api-version' is missing"},
		"old version":   {machine(system), "/metadata/identity/oauth2/token?resource=x&api-version=2017-08-01", "A: b", "not supported"},
		"no resource":   {machine(system), "/metadata/identity/oauth2/token?api-version=2018-02-01", "A: b", "Required query variable 'resource' is missing"},
		"no identity":   {machine(), tokenPath, "A: b", "Identity not found"},
		"another":       {machine(system), tokenPath + "&client_id=x", "A: b", "Identity not found"},
		"several":       {machine(userAssigned, Identity{ClientID: "x", PrincipalID: "y", ResourceID: "z"}), tokenPath, "A: b", "Multiple user assigned identities exist"},
		"one is chosen": {machine(userAssigned), tokenPath, "A: b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := ask(t, tc.machine, "GET", tc.target, tc.header)
			var m map[string]string
			require.NoError(t, json.Unmarshal([]byte(body), &m), body)
			if tc.want == "" {
				require.Equal(t, 200, status)
				require.Equal(t, clientID, m["client_id"])
				require.Equal(t, "3600", m["expires_in"])
				return
			}
			require.Equal(t, 400, status)
			require.Equal(t, "invalid_request", m["error"])
			require.Contains(t, m["error_description"], tc.want)
		})
	}
	status, _ := ask(t, machine(system), "GET", strings.Replace(tokenPath, "resource=https://management.azure.com/", "resource=fail", 1))
	require.Equal(t, 500, status)
	status, _ = ask(t, machine(system), "DELETE", tokenPath)
	require.Equal(t, 405, status)
	status, _ = ask(t, machine(system), "POST", "/metadata/versions")
	require.Equal(t, 405, status)
}

func TestMachinesLearnAboutThemselves(t *testing.T) {
	m := machine()
	status, body := ask(t, m, "GET", "/metadata/instance?api-version=2021-02-01")
	require.Equal(t, 200, status)
	var doc struct {
		Compute struct{ Name, VMID, Location, ResourceID, Tags string }
		Network struct {
			Interface []struct {
				IPv4 struct {
					IPAddress []struct{ PrivateIPAddress string }
					Subnet    []struct{ Address, Prefix string }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &doc))
	require.Equal(t, "client", doc.Compute.Name)
	require.Equal(t, "a:1;b:2", doc.Compute.Tags)
	require.Equal(t, m.ResourceID, doc.Compute.ResourceID)
	require.Equal(t, "127.0.0.1", doc.Network.Interface[0].IPv4.IPAddress[0].PrivateIPAddress)
	require.Equal(t, "24", doc.Network.Interface[0].IPv4.Subnet[0].Prefix)

	for target, want := range map[string]string{
		"/metadata/instance/compute/vmId?api-version=2021-02-01&format=text":                                          "vm-1",
		"/metadata/instance/network/interface/0/ipv4/ipAddress/0/privateIpAddress?api-version=2017-08-01&format=text": "127.0.0.1",
		"/metadata/instance?api-version=2021-02-01&format=text":                                                       "compute/\nnetwork/",
		"/metadata/instance/network/interface?api-version=2021-02-01&format=text":                                     "0/",
		"/metadata/identity/info":                                      `{"tenantId":"t"}`,
		"/metadata/instance/compute/tagsList/0?api-version=2021-02-01": `{"name":"a","value":"1"}`,
	} {
		status, body := ask(t, m, "GET", target)
		require.Equal(t, 200, status, target)
		require.Equal(t, want, body, target)
	}
	for target, want := range map[string]int{
		"/metadata/instance": 400, "/metadata/instance?api-version=1": 400, "/metadata/instance/compute/nope?api-version=2021-02-01": 404,
		"/metadata/instance/compute/name?api-version=2021-02-01": 400, "/metadata/instance?api-version=2021-02-01&format=xml": 400,
		"/metadata/instance/network/interface/7?api-version=2021-02-01": 404, "/metadata/instance/network/interface/-1?api-version=2021-02-01": 404,
		"/": 404, "/metadata": 404,
	} {
		status, _ := ask(t, m, "GET", target)
		require.Equal(t, want, status, target)
	}
	status, body = ask(t, m, "GET", "/metadata/instance")
	require.Equal(t, 400, status)
	require.Contains(t, body, "newest-versions")
}

func TestOthersGetNoAnswer(t *testing.T) {
	s, client := start(t, machine(system))
	require.NoError(t, s.Update(Config{Machines: map[string]Machine{"10.0.1.4": machine(system)}}))
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+Address+"/metadata/versions", nil)
	require.NoError(t, err)
	r.Header.Set("Metadata", "true")
	_, err = client.Do(r) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, io.EOF)
}
