package plan_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/fakes/imds"
	"github.com/acrlab/acrlab/fakes/loganalytics"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
)

func metadataOf(t *testing.T, n *plan.Network) imds.Machine {
	t.Helper()
	m, ok := serviceOf(t, hostOf(t, n, "azure"), "imds").IMDS.Machines[clientAddress(n)]
	require.True(t, ok, "the metadata service knows the client")
	return m
}

func TestAClientHasTheIdentityOfItsSiteAndNoOther(t *testing.T) {
	with := func(identity string) *plan.Network {
		return network(t, "private-endpoint", func(top *topology.Topology) { top.Site.Identity = identity })
	}
	none := with("")
	m := metadataOf(t, none)
	require.Empty(t, m.Identities)
	require.Equal(t, "client", m.Name)
	require.Equal(t, state.ResourceGroup, m.ResourceGroup)
	require.Empty(t, serviceOf(t, hostOf(t, none, "internet"), "entra").Entra.Identities)

	for _, name := range []string{"system", "puller"} {
		n := with(name)
		ids := metadataOf(t, n).Identities
		require.Len(t, ids, 1, name)
		internet := hostOf(t, n, "internet")
		tenant := serviceOf(t, internet, "entra").Entra
		require.Len(t, tenant.Identities, 1)
		require.Equal(t, ids[0].ClientID, tenant.Identities[0].ClientID)
		require.Equal(t, ids[0].PrincipalID, tenant.Identities[0].PrincipalID)
		require.Equal(t, name == "system", ids[0].ResourceID == "", "a machine's own identity is no resource")
		require.Contains(t, serviceOf(t, internet, "arm").ARM.Clients, ids[0].ClientID)
		require.Contains(t, registryOf(t, n, "myregistry").Clients, ids[0].ClientID)
	}
	// On-premises there is no metadata service to ask.
	outside := network(t, "behind-firewall", nil)
	require.NotContains(t, serviceOf(t, hostOf(t, outside, "azure"), "imds").IMDS.Machines, clientAddress(outside))
}

func TestADiagnosticSettingSendsARegistrysLogs(t *testing.T) {
	in := input(t, base(t, "public", nil))
	logs := func() loganalytics.Config {
		n, err := plan.Make(in)
		require.NoError(t, err)
		return *serviceOf(t, hostOf(t, n, "internet"), "logs").LogAnalytics
	}
	require.Empty(t, logs().Workspaces)
	add := func(id, typ, properties string) {
		in.State.Resources[strings.ToLower(id)] = azure.Resource{ID: id, Name: state.Name(id), Type: typ, Properties: []byte(properties)}
	}
	ws := state.ID(state.TypeWorkspace, "logs")
	add(ws, state.TypeWorkspace, `{"customerId":"99999999-0000-4000-8000-000000000009"}`)
	require.Empty(t, logs().Workspaces[0].Settings)
	setting := state.ID(state.TypeRegistry, "myregistry") + "/providers/microsoft.insights/diagnosticSettings/all"
	for properties, want := range map[string][]string{
		`"logs":[{"category":"ContainerRegistryLoginEvents","enabled":true},{"category":"ContainerRegistryRepositoryEvents","enabled":false}]`: {loganalytics.LoginEvents},
		`"logs":[{"categoryGroup":"allLogs","enabled":true}]`: {loganalytics.LoginEvents, loganalytics.RepositoryEvents},
		`"logs":[]`: nil,
	} {
		add(setting, state.TypeDiagnosticSetting, `{"workspaceId":"`+strings.ToUpper(ws)+`",`+properties+`}`)
		w := logs().Workspaces[0]
		require.Equal(t, "99999999-0000-4000-8000-000000000009", w.ID)
		require.Len(t, w.Settings, 1)
		require.Equal(t, "myregistry.azurecr.io", w.Settings[0].LoginServer)
		require.Equal(t, want, w.Settings[0].Categories, properties)
	}
}
