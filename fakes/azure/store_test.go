package azure

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	group    = "/subscriptions/sub1/resourceGroups/rg1"
	network  = group + "/providers/Microsoft.Network/"
	hub      = network + "virtualNetworks/hub"
	registry = group + "/providers/Microsoft.ContainerRegistry/registries/myregistry"
	zoneID   = network + "privateDnsZones/privatelink.azurecr.io"
	endpoint = network + "privateEndpoints/pe"
)

func testState() State {
	resources := map[string]Resource{}
	add := func(id, location, sku, properties string) {
		r := Resource{ID: id, Location: location, Properties: json.RawMessage(properties)}
		if sku != "" {
			r.SKU = json.RawMessage(`{"name":"` + sku + `","tier":"` + sku + `"}`)
		}
		resources[id] = r
	}
	add(hub, "eastus", "", `{"addressSpace":{"addressPrefixes":["10.70.0.0/16"]},
		"subnets":[{"name":"clients","properties":{"addressPrefix":"10.70.1.0/24"}},{"name":"endpoints","properties":{"addressPrefix":"10.70.4.0/24"}}],
		"virtualNetworkPeerings":[]}`)
	add(network+"networkSecurityGroups/nsg", "eastus", "", `{"securityRules":[{"name":"deny","properties":{"priority":100,"access":"Deny"}}]}`)
	add(registry, "eastus", "Premium", `{"loginServer":"myregistry.azurecr.io","publicNetworkAccess":"Enabled",
		"networkRuleSet":{"defaultAction":"Deny","ipRules":[],"virtualNetworkRules":[{"action":"Allow","id":"`+hub+`/subnets/clients"}]}}`)
	add(registry+"/privateEndpointConnections/pe.1", "", "", `{"privateEndpoint":{"id":"`+endpoint+`"},"privateLinkServiceConnectionState":{"status":"Pending"}}`)
	add(registry+"/replications/westus", "westus", "", `{"regionEndpointEnabled":true}`)
	add(endpoint, "eastus", "", `{"manualPrivateLinkServiceConnections":[{"name":"pe","properties":{"privateLinkServiceId":"`+registry+`","privateLinkServiceConnectionState":{"status":"Pending"}}}]}`)
	add(zoneID, "global", "", `{}`)
	add(zoneID+"/A/myregistry", "", "", `{"ttl":10,"aRecords":[{"ipv4Address":"10.70.4.5"}]}`)
	add(zoneID+"/virtualNetworkLinks/hub", "global", "", `{"registrationEnabled":false,"virtualNetwork":{"id":"`+hub+`"}}`)
	return State{Subscription: "sub1", Tenant: "tenant1", Resources: resources}
}

func testStore(t testing.TB) *Store {
	t.Helper()
	s, err := NewStore(testState())
	require.NoError(t, err)
	return s
}

func property(t *testing.T, r Resource, path ...string) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(r.Properties, &v))
	for _, p := range path {
		m, ok := v.(map[string]any)
		require.True(t, ok, "%v of %s", path, r.Properties)
		v = m[p]
	}
	return v
}

func requireCode(t *testing.T, err error, status int, code string) {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, status, e.Status)
	require.Equal(t, code, e.Code)
}

func TestIDsIgnoreCase(t *testing.T) {
	s := testStore(t)
	r, err := s.Get("/SUBSCRIPTIONS/Sub1/resourcegroups/RG1/providers/microsoft.network/virtualnetworks/HUB")
	require.NoError(t, err)
	require.Equal(t, hub, r.ID)
	require.Equal(t, "Microsoft.Network/virtualNetworks", r.Type)
}

func TestEmbeddedChildren(t *testing.T) {
	s := testStore(t)
	clients := hub + "/subnets/clients"

	t.Run("are read from their parent", func(t *testing.T) {
		r, err := s.Get(clients)
		require.NoError(t, err)
		require.Equal(t, clients, r.ID)
		require.Equal(t, "Microsoft.Network/virtualNetworks/subnets", r.Type)
		require.Equal(t, "10.70.1.0/24", property(t, r, "addressPrefix"))
	})
	t.Run("are patched in their parent", func(t *testing.T) {
		_, err := s.Patch(clients, []byte(`{"properties":{"serviceEndpoints":[{"service":"Microsoft.ContainerRegistry"}]}}`))
		require.NoError(t, err)
		parent, err := s.Get(hub)
		require.NoError(t, err)
		subnet := property(t, parent, "subnets").([]any)[0].(map[string]any)["properties"].(map[string]any)
		require.Equal(t, "10.70.1.0/24", subnet["addressPrefix"])
		require.Len(t, subnet["serviceEndpoints"], 1)
	})
	t.Run("are created and deleted in their parent", func(t *testing.T) {
		_, created, err := s.Put(Resource{ID: hub + "/subnets/new", Properties: json.RawMessage(`{"addressPrefix":"10.70.9.0/24"}`)})
		require.NoError(t, err)
		require.True(t, created)
		list, err := s.Children(hub, "subnets")
		require.NoError(t, err)
		require.Len(t, list, 3)
		existed, err := s.Delete(hub + "/subnets/NEW")
		require.NoError(t, err)
		require.True(t, existed)
		existed, err = s.Delete(hub + "/subnets/new")
		require.NoError(t, err)
		require.False(t, existed)
		require.Len(t, s.List("Microsoft.Network/virtualNetworks/subnets"), 2)
	})
	t.Run("stay when their parent is put without them", func(t *testing.T) {
		_, created, err := s.Put(Resource{ID: hub, Location: "eastus", Properties: json.RawMessage(`{"addressSpace":{"addressPrefixes":["10.70.0.0/16"]},"dhcpOptions":{"dnsServers":["10.70.1.9"]}}`)})
		require.NoError(t, err)
		require.False(t, created)
		list, err := s.Children(hub, "subnets")
		require.NoError(t, err)
		require.Len(t, list, 2)
	})
	t.Run("need a parent", func(t *testing.T) {
		_, _, err := s.Put(Resource{ID: network + "virtualNetworks/none/subnets/x"})
		requireCode(t, err, http.StatusNotFound, "ParentResourceNotFound")
	})
	t.Run("cannot be named twice", func(t *testing.T) {
		_, _, err := s.Put(Resource{ID: hub, Properties: json.RawMessage(`{"subnets":[{"name":"a"},{"name":"A"}]}`)})
		requireCode(t, err, http.StatusBadRequest, "InvalidRequestContent")
	})
	t.Run("exist for security rules, routes, peerings and IP configurations", func(t *testing.T) {
		r, err := s.Get(network + "networkSecurityGroups/nsg/securityRules/deny")
		require.NoError(t, err)
		require.EqualValues(t, 100, property(t, r, "priority"))
		_, _, err = s.Put(Resource{ID: hub + "/virtualNetworkPeerings/spoke", Properties: json.RawMessage(`{"peeringState":"Connected"}`)})
		require.NoError(t, err)
		require.Len(t, s.List("microsoft.network/virtualnetworks/virtualnetworkpeerings"), 1)
	})
}

func TestPatchIsAMergePatch(t *testing.T) {
	s := testStore(t)
	r, err := s.Patch(registry, []byte(`{"tags":{"a":"b"},"properties":{"publicNetworkAccess":"Disabled","networkRuleSet":{"ipRules":[{"value":"203.0.113.7"}]},"loginServer":null},"id":"/subscriptions/other"}`))
	require.NoError(t, err)
	require.Equal(t, registry, r.ID, "the id cannot be patched")
	require.Equal(t, "Disabled", property(t, r, "publicNetworkAccess"))
	require.Equal(t, "Deny", property(t, r, "networkRuleSet", "defaultAction"), "siblings stay")
	require.Len(t, property(t, r, "networkRuleSet", "ipRules"), 1)
	require.Nil(t, property(t, r, "loginServer"), "null removes")
	require.Equal(t, map[string]string{"a": "b"}, r.Tags)

	_, err = s.Patch(registry+"x", []byte(`{}`))
	requireCode(t, err, http.StatusNotFound, "ResourceNotFound")
	_, err = s.Patch(registry, []byte(`[1]`))
	requireCode(t, err, http.StatusBadRequest, "InvalidRequestContent")
}

// RFC 7396 appendix A, the cases with objects.
func TestMergePatchExamples(t *testing.T) {
	for _, tc := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		got, err := mergePatch([]byte(tc[0]), []byte(tc[1]))
		require.NoError(t, err)
		require.JSONEq(t, tc[2], string(got), "%s with %s", tc[0], tc[1])
	}
}

func TestApprovalReachesThePrivateEndpoint(t *testing.T) {
	s := testStore(t)
	state := func() any {
		r, err := s.Get(endpoint)
		require.NoError(t, err)
		c := property(t, r, "manualPrivateLinkServiceConnections").([]any)[0].(map[string]any)["properties"].(map[string]any)
		return c["privateLinkServiceConnectionState"].(map[string]any)["status"]
	}
	require.Equal(t, "Pending", state())
	_, err := s.Patch(registry+"/privateEndpointConnections/pe.1", []byte(`{"properties":{"privateLinkServiceConnectionState":{"status":"Approved"}}}`))
	require.NoError(t, err)
	require.Equal(t, "Approved", state())
	_, err = s.Delete(registry + "/privateEndpointConnections/pe.1")
	require.NoError(t, err)
	require.Equal(t, "Disconnected", state())

	s = testStore(t)
	_, err = s.Delete(endpoint)
	require.NoError(t, err)
	require.Empty(t, s.List("Microsoft.ContainerRegistry/registries/privateEndpointConnections"), "a deleted private endpoint takes its connection along")
}

func TestDeleteTakesWhatIsBelow(t *testing.T) {
	s := testStore(t)
	_, err := s.Delete(zoneID)
	require.NoError(t, err)
	require.Empty(t, s.List("Microsoft.Network/privateDnsZones/A"))
	existed, err := s.Delete(group)
	require.NoError(t, err)
	require.True(t, existed)
	require.Empty(t, s.Snapshot().Resources)
	_, err = s.Get(group)
	requireCode(t, err, http.StatusNotFound, "ResourceGroupNotFound")
}

func TestSnapshotRoundTrips(t *testing.T) {
	s := testStore(t)
	snap := s.Snapshot()
	other, err := NewStore(snap)
	require.NoError(t, err)
	require.Equal(t, snap, other.Snapshot())
	for key, r := range snap.Resources {
		require.Equal(t, mustID(t, r.ID).Key(), key)
	}
	// What is given out is not shared.
	r := snap.Resources[mustID(t, registry).Key()]
	copy(r.Properties, "XXXXXXXX")
	again, err := s.Get(registry)
	require.NoError(t, err)
	require.True(t, json.Valid(again.Properties))
}

func TestReplaceRefusesBadState(t *testing.T) {
	for name, r := range map[string]Resource{
		"a path trick":      {ID: group + "/../x"},
		"an embedded child": {ID: hub + "/subnets/a"},
		"broken properties": {ID: hub, Properties: json.RawMessage(`{`)},
		"a list of them":    {ID: hub, Properties: json.RawMessage(`[]`)},
		"subnets no list":   {ID: hub, Properties: json.RawMessage(`{"subnets":{}}`)},
		"a nameless subnet": {ID: hub, Properties: json.RawMessage(`{"subnets":[{}]}`)},
	} {
		t.Run(name, func(t *testing.T) {
			s := testStore(t)
			before := s.Snapshot()
			require.Error(t, s.Replace(State{Resources: map[string]Resource{r.ID: r}}))
			require.Equal(t, before, s.Snapshot())
		})
	}
}

func TestWritesChangeETagAndWakeWaiters(t *testing.T) {
	s := testStore(t)
	rev, etag := s.Revision(), s.ETag(hub)
	require.NotEmpty(t, etag)
	require.Empty(t, s.ETag(hub+"x"))
	woken := make(chan uint64, 1)
	go func() {
		got, err := s.Wait(context.Background(), rev)
		if err == nil {
			woken <- got
		}
	}()
	_, err := s.Patch(hub+"/subnets/clients", []byte(`{"properties":{"routeTable":{"id":"x"}}}`))
	require.NoError(t, err)
	require.Greater(t, <-woken, rev)
	require.NotEqual(t, etag, s.ETag(hub), "a write to a subnet is one to its network")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Wait(ctx, s.Revision())
	require.ErrorIs(t, err, context.Canceled)
}

func TestConcurrentWritesToOneParentAreAllKept(t *testing.T) {
	s := testStore(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, _, _ = s.Put(Resource{ID: fmt.Sprintf("%s/subnets/s%d", hub, i), Properties: json.RawMessage(`{}`)})
			_ = s.Snapshot()
		})
	}
	wg.Wait()
	list, err := s.Children(hub, "subnets")
	require.NoError(t, err)
	require.Len(t, list, 22)
}
