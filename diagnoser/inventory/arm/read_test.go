package arm

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/diagnoser/inventory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	subID = "11111111-1111-1111-1111-111111111111"
	rg    = "/subscriptions/" + subID + "/resourceGroups/rg/providers/"
)

type fixedToken struct{}

func (fixedToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "t", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// pages are answers by path, in the shapes that Azure sends.
func pages() map[string]string {
	net := rg + "Microsoft.Network/"
	acr := rg + "Microsoft.ContainerRegistry/registries/myregistry"
	return map[string]string{
		"/subscriptions":                         `{"value":[{"subscriptionId":"` + subID + `","state":"Enabled"}]}`,
		"/subscriptions/" + subID + "/resources": `{"value":[{"id":"` + acr + `","name":"myregistry","type":"Microsoft.ContainerRegistry/registries"},{"id":"` + acr + `2","name":"myregistry2","type":"Microsoft.ContainerRegistry/registries"}]}`,
		acr + "2":                                `{"id":"` + acr + `2","name":"myregistry2","properties":{"loginServer":"myregistry2.azurecr.io"}}`,
		acr: `{"sku":{"name":"Premium"},"id":"` + acr + `","name":"myregistry","location":"eastus","properties":{"loginServer":"myregistry.azurecr.io",
			"networkRuleSet":{"defaultAction":"Deny","ipRules":[{"action":"Allow","value":"198.51.100.7"}]},"dataEndpointEnabled":true,"dataEndpointHostNames":["myregistry.eastus.data.azurecr.io"],
			"privateEndpointConnections":[{"id":"` + acr + `/privateEndpointConnections/c","name":"c","properties":{"privateEndpoint":{"id":"` + net + `privateEndpoints/pe"},"privateLinkServiceConnectionState":{"status":"Approved"}}},
				{"id":"` + acr + `/privateEndpointConnections/gone","name":"gone","properties":{"privateEndpoint":{"id":"` + net + `privateEndpoints/gone"},"privateLinkServiceConnectionState":{"status":"Disconnected"}}}],
			"publicNetworkAccess":"Enabled"}}`,
		acr + "?old":                `{"id":"` + acr + `","properties":{"networkRuleSet":{"defaultAction":"Deny","virtualNetworkRules":[{"action":"Allow","id":"` + net + `virtualNetworks/hub/subnets/clients"}]}}}`,
		acr + "/replications":       `{"value":[{"name":"eastus","properties":{"provisioningState":"Succeeded"}},{"name":"westus","properties":{"regionEndpointEnabled":false}}]}`,
		net + "privateEndpoints/pe": `{"id":"` + net + `privateEndpoints/pe","name":"pe","properties":{"subnet":{"id":"` + net + `virtualNetworks/hub/subnets/pe"},"networkInterfaces":[{"id":"` + net + `networkInterfaces/nic"}],"customDnsConfigs":[]}}`,
		net + "networkInterfaces/nic": `{"properties":{"ipConfigurations":[{"properties":{"privateIPAddress":"10.0.2.4","privateLinkConnectionProperties":{"groupId":"registry","requiredMemberName":"registry_data_eastus","fqdns":["myregistry.eastus.data.azurecr.io"]}}},
			{"properties":{"privateIPAddress":"10.0.2.5","privateLinkConnectionProperties":{"requiredMemberName":"registry","fqdns":["myregistry.azurecr.io"]}}}]}}`,
		"/subscriptions/" + subID + "/providers/Microsoft.Network/privateDnsZones": `{"value":[{"id":"` + net + `privateDnsZones/privatelink.azurecr.io","name":"privatelink.azurecr.io"},{"id":"` + net + `privateDnsZones/corp.example","name":"corp.example"}]}`,
		net + "privateDnsZones/privatelink.azurecr.io/virtualNetworkLinks":         `{"value":[{"id":"l","name":"hub","properties":{"registrationEnabled":false,"virtualNetwork":{"id":"` + net + `virtualNetworks/hub"},"virtualNetworkLinkState":"Completed","resolutionPolicy":"NxDomainRedirect"}}]}`,
		net + "privateDnsZones/privatelink.azurecr.io/A":                           `{"value":[{"name":"myregistry","properties":{"ttl":10,"aRecords":[{"ipv4Address":"10.0.2.5"}]}}]}`,
		"/subscriptions/" + subID + "/providers/Microsoft.Network/virtualNetworks": `{"value":[{"id":"` + net + `virtualNetworks/hub","name":"hub","properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/16"]},"dhcpOptions":{"dnsServers":["10.0.3.4"]},
			"subnets":[{"id":"` + net + `virtualNetworks/hub/subnets/clients","name":"clients","properties":{"addressPrefix":"10.0.1.0/24","networkSecurityGroup":{"id":"` + net + `networkSecurityGroups/nsg"},"routeTable":{"id":"` + net + `routeTables/rt"},"serviceEndpoints":[{"service":"Microsoft.ContainerRegistry"}]}},
				{"id":"` + net + `virtualNetworks/hub/subnets/GatewaySubnet","name":"GatewaySubnet","properties":{"addressPrefixes":["10.0.9.0/24"]}}],
			"virtualNetworkPeerings":[{"name":"p","properties":{"peeringState":"Connected","allowVirtualNetworkAccess":true,"remoteVirtualNetwork":{"id":"` + net + `virtualNetworks/other"}}}]}}]}`,
		"/subscriptions/" + subID + "/providers/Microsoft.Network/networkSecurityGroups": `{"value":[{"id":"` + net + `networkSecurityGroups/nsg","name":"nsg","properties":{"securityRules":[{"name":"deny","properties":{"priority":200,"direction":"Outbound","access":"Deny","protocol":"Tcp","sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"AzureContainerRegistry","destinationPortRange":"443"}}],"defaultSecurityRules":[]}}]}`,
		"/subscriptions/" + subID + "/providers/Microsoft.Network/routeTables":           `{"value":[],"nextLink":"NEXT/subscriptions/` + subID + `/providers/Microsoft.Network/routeTables/more"}`,
		"/subscriptions/" + subID + "/providers/Microsoft.Network/routeTables/more":      `{"value":[{"id":"` + net + `routeTables/rt","name":"rt","properties":{"routes":[{"name":"r","properties":{"addressPrefix":"0.0.0.0/0","nextHopType":"VirtualAppliance","nextHopIpAddress":"10.0.4.4"}}]}}]}`,
		"/subscriptions/" + subID + "/providers/Microsoft.Network/azureFirewalls":        `{"value":[{"id":"` + net + `azureFirewalls/fw","name":"fw","properties":{"firewallPolicy":{"id":"` + net + `firewallPolicies/p"},"ipConfigurations":[{"properties":{"privateIPAddress":"10.0.4.4","subnet":{"id":"s"}}}]}}]}`,
		net + "firewallPolicies/p": `{"properties":{}}`,
		net + "firewallPolicies/p/ruleCollectionGroups": `{"value":[{"id":"` + net + `firewallPolicies/p/ruleCollectionGroups/g","properties":{"priority":300,"ruleCollections":[
			{"name":"late","priority":900,"action":{"type":"Deny"},"rules":[{"ruleType":"ApplicationRule","name":"all","targetFqdns":["*"]}]},
			{"name":"early","priority":100,"action":{"type":"Allow"},"rules":[{"ruleType":"NetworkRule","name":"n","destinationAddresses":["AzureContainerRegistry"],"destinationPorts":["443"],"ipProtocols":["TCP"]}]}]}}]}`,
	}
}

// serve answers GET only, and knows the refusal of one path.
func serve(t *testing.T, answers map[string]string, refuse string) Options {
	t.Helper()
	var srv *httptest.Server
	srv = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, http.MethodGet, r.Method)
		require.NotEmpty(t, r.Header.Get("Authorization"))
		path := r.URL.Path
		w.Header().Set("Content-Type", "application/json")
		if refuse != "" && strings.Contains(path, refuse) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":{"code":"AuthorizationFailed","message":"The client does not have authorization to perform action."}}`))
			return
		}
		key := path
		if r.URL.Query().Get("api-version") == inventory.APIRegistryRules {
			key += "?old"
		}
		body, ok := answers[key]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"error":{"code":"ResourceNotFound","message":"not found"}}`))
			return
		}
		_, _ = w.Write([]byte(strings.ReplaceAll(body, "NEXT", srv.URL)))
	}))
	t.Cleanup(srv.Close)
	return Options{Transport: srv.Client(), Credential: fixedToken{}, Cloud: &cloud.Configuration{
		ActiveDirectoryAuthorityHost: srv.URL,
		Services:                     map[cloud.ServiceName]cloud.ServiceConfiguration{cloud.ResourceManager: {Endpoint: srv.URL, Audience: "https://management.azure.com"}},
	}}
}

func TestReadJoinsEverythingThatBearsOnTheRegistry(t *testing.T) {
	inv := Read(t.Context(), serve(t, pages(), ""), "myregistry.azurecr.io")
	require.Empty(t, inv.Missing(), "%v", inv.Status)
	require.Equal(t, []string{subID}, inv.Subscriptions)

	reg := inv.Registry
	require.NotNil(t, reg)
	require.Equal(t, "Enabled", reg.PublicNetworkAccess)
	require.Equal(t, []string{"198.51.100.7"}, reg.IPRules)
	require.Equal(t, []string{rg + "Microsoft.Network/virtualNetworks/hub/subnets/clients"}, reg.VirtualNetworkRules, "only the old api-version shows them")
	require.True(t, inv.Replications[0].RegionEndpointEnabled)
	require.False(t, inv.Replications[1].RegionEndpointEnabled)

	require.Len(t, inv.Endpoints, 2)
	require.Equal(t, netip.MustParseAddr("10.0.2.5"), inv.Endpoints[0].AddressOf("myregistry.azurecr.io"))
	require.False(t, inv.Endpoints[1].Exists, "404: the endpoint is gone, its connection is not")

	require.Len(t, inv.Zones, 1, "other zones are not read")
	net, sub, _ := inv.Holding(netip.MustParseAddr("10.0.1.4"))
	require.Equal(t, "clients", sub.Name)
	zone, link := inv.Zone(net, "myregistry.privatelink.azurecr.io")
	require.NotNil(t, zone)
	require.True(t, link.Fallback)
	require.Equal(t, []netip.Addr{netip.MustParseAddr("10.0.3.4")}, net.DNSServers)
	require.Equal(t, []string{net.ID}, inv.GatewayNetworks)
	require.True(t, json.Valid(net.Raw))

	hop := inv.NextHop(net, sub, netip.MustParseAddr("20.62.128.38"), nil)
	require.Equal(t, "VirtualAppliance", hop.Type, "the second page of route tables")
	fw := inv.FirewallAt(hop.IP)
	require.NotNil(t, fw)
	require.Equal(t, "early", fw.Collections[0].Name)
	require.False(t, fw.Pass("other.example", inventory.Flow{Port: 443}).Allow)
	require.True(t, fw.Pass("x", inventory.Flow{Port: 443, DestinationTags: []string{"AzureContainerRegistry"}}).Allow)
}

func TestARefusedPartLeavesTheOthers(t *testing.T) {
	inv := Read(t.Context(), serve(t, pages(), "networkSecurityGroups"), "myregistry.azurecr.io")
	require.Equal(t, []inventory.Part{inventory.SecurityGroups}, inv.Missing())
	require.Contains(t, inv.Status[inventory.SecurityGroups].Err, "403 AuthorizationFailed")
}

func TestARegistryThatIsNowhereIsAFactWithItsNeighbours(t *testing.T) {
	inv := Read(t.Context(), serve(t, pages(), ""), "myregistri.azurecr.io")
	require.True(t, inv.Known(inventory.Registries))
	require.Nil(t, inv.Registry)
	require.ElementsMatch(t, []string{"myregistry.azurecr.io", "myregistry2.azurecr.io"}, inv.Others)
	require.False(t, inv.Known(inventory.PrivateEndpoints))
}

func TestThePrivateLinkNameFindsItsRegistry(t *testing.T) {
	inv := Read(t.Context(), serve(t, pages(), ""), "myregistry.privatelink.azurecr.io")
	require.NotNil(t, inv.Registry)
}

func TestATokenGoesNowhereElse(t *testing.T) {
	answers := pages()
	answers["/subscriptions/"+subID+"/providers/Microsoft.Network/routeTables"] = `{"value":[],"nextLink":"https://elsewhere.example/x"}`
	inv := Read(t.Context(), serve(t, answers, ""), "myregistry.azurecr.io")
	require.Contains(t, inv.Status[inventory.RouteTables].Err, "leads elsewhere")
}

func TestAServerThatStallsIsLeft(t *testing.T) {
	done := make(chan struct{})
	srv := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-done:
		}
	}))
	t.Cleanup(func() { close(done); srv.CloseClientConnections(); srv.Close() })
	o := serve(t, nil, "")
	o.Transport = srv.Client()
	o.Cloud.Services[cloud.ResourceManager] = cloud.ServiceConfiguration{Endpoint: srv.URL, Audience: "https://management.azure.com"}
	o.Timeout = 50 * time.Millisecond
	inv := Read(t.Context(), o, "myregistry.azurecr.io")
	require.Len(t, inv.Missing(), len(inventory.Parts()))
	for _, p := range inventory.Parts() {
		require.NotEmpty(t, inv.Status[p].Err)
	}
}

// refusing is a network in which nothing answers.
type refusing struct{}

func (refusing) Do(*http.Request) (*http.Response, error) {
	return nil, context.DeadlineExceeded
}

func TestWithoutCredentialsItSaysSo(t *testing.T) {
	t.Setenv("PATH", "")
	_, err := FindCredential(t.Context(), cloud.AzurePublic, Options{Transport: refusing{}})
	require.ErrorIs(t, err, ErrNoCredential)
}

func TestASecretThatDoesNotWorkIsTold(t *testing.T) {
	_, err := FindCredential(t.Context(), cloud.AzurePublic, Options{Transport: refusing{}, Environ: []string{
		"AZURE_TENANT_ID=22222222-2222-2222-2222-222222222222", "AZURE_CLIENT_ID=c", "AZURE_CLIENT_SECRET=verysecret"}})
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNoCredential)
	require.Contains(t, err.Error(), "AZURE_CLIENT_SECRET")
	require.NotContains(t, err.Error(), "verysecret")
}

func FuzzParse(f *testing.F) {
	for _, p := range pages() {
		f.Add([]byte(p))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = parseNetwork(b)
		_, _ = parseGroup(b)
		_, _ = parseTable(b)
		var r registryJSON
		if json.Unmarshal(b, &r) == nil {
			_ = r.registry()
		}
	})
}
