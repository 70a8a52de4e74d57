package state_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
)

func TestAzureFirewallsAllowByARuleBeforeAllOthers(t *testing.T) {
	top := base(t, "azure-firewall")
	s := build(t, top)
	a := diagnosis.Allow{Device: diagnosis.Firewall, Hosts: []string{"x.azurecr.io"}, Port: 443}
	got, err := state.AllowAtAzureFirewalls(s, a)
	require.NoError(t, err)
	require.Len(t, got, 1)
	var p state.RuleCollectionGroupProperties
	require.NoError(t, json.Unmarshal(got[0].Properties, &p))
	require.Equal(t, "Allow", p.RuleCollections[0].Action.Type)
	require.Equal(t, []string{"x.azurecr.io"}, p.RuleCollections[0].Rules[0].TargetFQDNs)
	require.Less(t, p.RuleCollections[0].Priority, p.RuleCollections[1].Priority)
	require.Len(t, p.RuleCollections, len(top.AzureFirewalls["fw"].ApplicationRules)+1)
	require.Equal(t, s, build(t, top), "the state was changed")

	f := top.AzureFirewalls["fw"]
	f.NetworkRules = map[string]topology.FirewallNetworkRule{"deny": {Action: "Deny", DestinationAddresses: []string{"AzureContainerRegistry"}}}
	top.AzureFirewalls["fw"] = f
	got, err = state.AllowAtAzureFirewalls(build(t, top), a)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(got[0].Properties, &p))
	require.Equal(t, []string{"x.azurecr.io"}, p.RuleCollections[1].Rules[0].DestinationFQDNs)

	_, err = state.AllowAtAzureFirewalls(build(t, base(t, "public")), a)
	require.ErrorContains(t, err, "there is no Azure Firewall")
	_, err = state.AllowAtAzureFirewalls(s, diagnosis.Allow{Device: diagnosis.Proxy, Hosts: a.Hosts})
	require.ErrorContains(t, err, "an Azure Firewall is none")
}
