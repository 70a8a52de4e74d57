package world_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/world"
)

const (
	login     = "myregistry.azurecr.io"
	loginAt   = "20.62.128.38"
	privateAt = "10.0.2.5" // the registry's address in the private bases
	zoneName  = "privatelink.azurecr.io"
)

var (
	registryID = state.ID(state.TypeRegistry, "myregistry")
	app        = state.SubnetID("app", "clients")
	// subnet is what a PUT of app must hold in order to change nothing else.
	subnet = `"addressPrefix":"10.1.1.0/24","natGateway":{"id":"` + state.ID(state.TypeNATGateway, "app-nat") + `"}`
	deny   = `{"properties":{"priority":100,"direction":"Outbound","access":"Deny","protocol":"Tcp",
		"sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"AzureContainerRegistry","destinationPortRange":"443"}}`
)

// step is a write through Azure Resource Manager and what the client sees as
// soon as it is answered.
type step struct {
	method, id, body string
	then             check
}

// Each kind of resource that means something for packets, names or answers is
// changed from the client host; what is seen right after the answer has changed.
func TestAWriteToAzureChangesTheNetworkBeforeItIsAnswered(t *testing.T) {
	link := state.ID(state.TypeVirtualNetLink, zoneName, "live")
	for _, c := range []struct {
		kind, base string
		before     check
		steps      []step
	}{
		{"security rule", "public", connects(addr(loginAt)), []step{
			{"PUT", state.ID(state.TypeSecurityGroup, "live"), `{"location":"eastus","properties":{}}`, connects(addr(loginAt))},
			{"PUT", app, `{"properties":{` + subnet + `,"networkSecurityGroup":{"id":"` + state.ID(state.TypeSecurityGroup, "live") + `"}}}`, connects(addr(loginAt))},
			{"PUT", state.ID(state.TypeSecurityGroup, "live") + "/securityRules/deny", deny, silent(addr(loginAt))},
			{"DELETE", state.ID(state.TypeSecurityGroup, "live") + "/securityRules/deny", "", all(connects(addr(loginAt)), pulls)},
		}},
		{"route", "public", connects(addr(loginAt)), []step{
			{"PUT", state.ID(state.TypeRouteTable, "live"), `{"location":"eastus","properties":{}}`, connects(addr(loginAt))},
			{"PUT", app, `{"properties":{` + subnet + `,"routeTable":{"id":"` + state.ID(state.TypeRouteTable, "live") + `"}}}`, connects(addr(loginAt))},
			{"PUT", state.ID(state.TypeRouteTable, "live") + "/routes/hole", `{"properties":{"addressPrefix":"20.62.128.0/24","nextHopType":"None"}}`, silent(addr(loginAt))},
			{"DELETE", state.ID(state.TypeRouteTable, "live") + "/routes/hole", "", all(connects(addr(loginAt)), pulls)},
		}},
		{"record", "private-endpoint", resolves(login, privateAt), []step{
			{"PUT", state.ID(state.TypeARecord, zoneName, "myregistry"), `{"properties":{"TTL":10,"aRecords":[{"ipv4Address":"10.0.2.99"}]}}`, resolves(login, "10.0.2.99")},
			{"PUT", state.ID(state.TypeARecord, zoneName, "myregistry"), `{"properties":{"TTL":10,"aRecords":[{"ipv4Address":"10.0.2.5"}]}}`, all(resolves(login, privateAt), pulls)},
			{"DELETE", state.ID(state.TypeARecord, zoneName, "myregistry"), "", resolves(login, "NXDOMAIN")},
		}},
		{"zone link", "private-endpoint", resolves(login, privateAt), []step{
			{"DELETE", "", "", resolves(login, loginAt)}, // the link of the base, see below
			{"PUT", link, `{"location":"global","properties":{"registrationEnabled":false,"virtualNetwork":{"id":"` + state.ID(state.TypeVirtualNetwork, "hub") + `"}}}`, all(resolves(login, privateAt), pulls)},
		}},
		{"peering", "private-endpoint-peered", connects(addr(privateAt)), []step{
			{"DELETE", state.ID(state.TypeVirtualNetwork, "spoke") + "/virtualNetworkPeerings/hub", "", silent(addr(privateAt))},
		}},
		{"firewall rules", "azure-firewall", pulls, []step{
			{"DELETE", state.ID(state.TypeRuleCollGroup, "", ""), "", pullSays("EOF|reset")}, // the base's groups, see below
		}},
		{"registry rules", "public", pulls, []step{
			{"PATCH", registryID, `{"properties":{"publicNetworkAccess":"Disabled"}}`, pullSays("client with IP '198.51.100.4' is not allowed access")},
			{"PATCH", registryID, `{"properties":{"publicNetworkAccess":"Enabled","networkRuleSet":{"defaultAction":"Deny","ipRules":[]}}}`, pullSays("is not allowed access")},
			{"PATCH", registryID, `{"properties":{"networkRuleSet":{"defaultAction":"Deny","ipRules":[{"action":"Allow","value":"198.51.100.4"}]}}}`, pulls},
		}},
		{"service endpoint", "service-endpoint", pulls, []step{
			{"PUT", app, `{"properties":{` + subnet + `,"serviceEndpoints":[]}}`, pullSays("client with IP '198.51.100.4' is not allowed access")},
			{"PUT", app, `{"properties":{` + subnet + `,"serviceEndpoints":[{"service":"Microsoft.ContainerRegistry"}]}}`, pulls},
		}},
		{"endpoint connection", "private-endpoint", connects(addr(privateAt)), []step{
			{"PUT", "", `{"properties":{"privateLinkServiceConnectionState":{"status":"Rejected","description":"no"}}}`, silent(addr(privateAt))},
			{"PUT", "", `{"properties":{"privateLinkServiceConnectionState":{"status":"Approved","description":"yes"}}}`, all(connects(addr(privateAt)), pulls)},
		}},
		{"public address", "public", pulls, []step{
			{"PATCH", registryID, `{"properties":{"networkRuleSet":{"defaultAction":"Deny","ipRules":[{"action":"Allow","value":"198.51.100.4"}]}}}`, pulls},
			// The answer comes by the old address, so the network follows it.
			{"PUT", app, `{"properties":{"addressPrefix":"10.1.1.0/24"}}`, all(follows, pullSays("client with IP '20.185.*' is not allowed access"))},
		}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			top := base(t, c.base)
			l := open(t, top, world.Options{})
			l.signIn(t)
			c.before(t, l)
			for _, s := range c.steps {
				for _, id := range l.named(t, c.kind, s) {
					body := s.body
					if c.kind == "endpoint connection" {
						body = `{"properties":{"privateEndpoint":{"id":"` + state.ID(state.TypePrivateEndpoint, "pe-registry") + `"},` + body[len(`{"properties":{`):]
					}
					l.write(t, s.method, id, body)
				}
				s.then(t, l)
			}
			consistent(t, l, top)
		})
	}
}

// named are the ids of a step; those that the base chose are looked up.
func (l *lab) named(t *testing.T, kind string, s step) []string {
	t.Helper()
	typ := map[string]string{"zone link": state.TypeVirtualNetLink, "firewall rules": state.TypeRuleCollGroup,
		"endpoint connection": state.TypeConnection}[kind]
	if typ == "" || kind == "zone link" && s.method == http.MethodPut {
		return []string{s.id}
	}
	var ids []string
	for _, r := range l.Azure().List(typ) {
		ids = append(ids, r.ID)
	}
	require.NotEmpty(t, ids)
	return ids
}

// A private endpoint that is made in a running network gets addresses that
// answer, and takes them along when it goes.
func TestAPrivateEndpointMadeLiveAnswers(t *testing.T) {
	top := base(t, "public")
	l := open(t, top, world.Options{})
	l.signIn(t)
	l.write(t, "PATCH", registryID, `{"properties":{"dataEndpointEnabled":true}}`)
	subnet := state.SubnetID("app", "endpoints")
	l.write(t, "PUT", subnet, `{"properties":{"addressPrefix":"10.1.7.0/24"}}`)
	pe := state.ID(state.TypePrivateEndpoint, "live")
	l.write(t, "PUT", pe, `{"location":"eastus","properties":{"subnet":{"id":"`+subnet+`"},"privateLinkServiceConnections":[
		{"name":"live","properties":{"privateLinkServiceId":"`+registryID+`","groupIds":["registry"]}}]}}`)
	nics, err := state.NetworkInterfaces(l.Azure().Snapshot())
	require.NoError(t, err)
	var at []string
	for _, n := range nics {
		if n.Properties.PrivateEndpoint != nil && n.Properties.PrivateEndpoint.ID == pe {
			for _, c := range n.Properties.IPConfigurations {
				at = append(at, c.Properties.PrivateIPAddress)
			}
		}
	}
	require.Equal(t, []string{"10.1.7.4", "10.1.7.5"}, at)
	for _, a := range at {
		connects(addr(a))(t, l)
	}
	zone := state.ID(state.TypePrivateDNSZone, zoneName)
	l.write(t, "PUT", zone, `{"location":"global"}`)
	l.write(t, "PUT", zone+"/virtualNetworkLinks/app", `{"location":"global","properties":{"registrationEnabled":false,"virtualNetwork":{"id":"`+state.ID(state.TypeVirtualNetwork, "app")+`"}}}`)
	resolves(login, "NXDOMAIN")(t, l)
	l.write(t, "PUT", pe+"/privateDnsZoneGroups/default", `{"properties":{"privateDnsZoneConfigs":[{"name":"acr","properties":{"privateDnsZoneId":"`+zone+`"}}]}}`)
	resolves(login, "10.1.7.5")(t, l)
	l.write(t, "PATCH", registryID, `{"properties":{"publicNetworkAccess":"Disabled"}}`)
	pulls(t, l)
	l.write(t, "DELETE", pe, "")
	silent(addr("10.1.7.5"))(t, l)
	consistent(t, l, top)
}

// A write that no network follows from is refused, and nothing has changed.
func TestAWriteThatTheNetworkCannotFollowIsRefused(t *testing.T) {
	top := base(t, "public")
	l := open(t, top, world.Options{})
	l.signIn(t)
	before, network := l.Azure().Snapshot(), l.Network()
	for name, w := range map[string]struct{ method, id, body string }{
		"a rule that is no prefix":     {"PATCH", registryID, `{"properties":{"networkRuleSet":{"defaultAction":"Deny","ipRules":[{"value":"1.2.3.4/99"}]}}}`},
		"a region that does not exist": {"PUT", state.ID(state.TypeReplication, "myregistry", "atlantis"), `{"location":"atlantis"}`},
		"a group that does not exist":  {"PUT", app, `{"properties":{` + subnet + `,"networkSecurityGroup":{"id":"` + state.ID(state.TypeSecurityGroup, "none") + `"}}}`},
		"the client's own subnet goes": {"DELETE", app, ""},
		"an address space in words":    {"PATCH", state.ID(state.TypeVirtualNetwork, "app"), `{"properties":{"addressSpace":{"addressPrefixes":["ten"]}}}`},
	} {
		status, answer, err := l.arm(t.Context(), w.method, w.id, w.body)
		require.NoError(t, err, name)
		require.GreaterOrEqual(t, status, 400, "%s: %s", name, answer)
		require.Less(t, status, 500, "%s: %s", name, answer)
		require.Contains(t, answer, `"error":{"code":"`, name)
		require.Equal(t, before, l.Azure().Snapshot(), name)
	}
	require.NoError(t, l.Settle(t.Context()))
	require.Same(t, network, l.Network(), "nothing was reconciled")
	pulls(t, l)
}
