package azure

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// A peering works only when both sides were made after each other's last
// deletion.
func TestPeeringStatesFollowBothSides(t *testing.T) {
	const group = "/subscriptions/sub1/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/"
	s, err := NewStore(State{Subscription: "sub1", Tenant: "tenant1", Resources: map[string]Resource{}})
	require.NoError(t, err)
	for name, space := range map[string]string{"hub": "10.0.0.0/16", "spoke": "10.1.0.0/16"} {
		_, _, err := s.Put(Resource{ID: group + name, Location: "eastus", Properties: json.RawMessage(`{"addressSpace":{"addressPrefixes":["` + space + `"]}}`)})
		require.NoError(t, err)
	}
	peer := func(from, to string) {
		t.Helper()
		_, _, err := s.Put(Resource{ID: group + from + "/virtualNetworkPeerings/to", Properties: json.RawMessage(
			`{"allowVirtualNetworkAccess":true,"remoteVirtualNetwork":{"id":"` + group + to + `"}}`)})
		require.NoError(t, err)
	}
	unpeer := func(from string) {
		t.Helper()
		existed, err := s.Delete(group + from + "/virtualNetworkPeerings/to")
		require.NoError(t, err)
		require.True(t, existed)
	}
	is := func(from, want string) {
		t.Helper()
		r, err := s.Get(group + from + "/virtualNetworkPeerings/to")
		require.NoError(t, err)
		var p struct{ PeeringState string }
		require.NoError(t, json.Unmarshal(r.Properties, &p))
		require.Equal(t, want, p.PeeringState, from)
	}
	peer("spoke", "hub")
	is("spoke", "Initiated")
	peer("hub", "spoke")
	is("spoke", "Connected")
	is("hub", "Connected")
	unpeer("hub")
	is("spoke", "Disconnected")
	unpeer("spoke")
	peer("spoke", "hub")
	peer("hub", "spoke")
	is("spoke", "Connected")
	is("hub", "Connected")
}
