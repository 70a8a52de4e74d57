package scenarios_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/az"
	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/run"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/verdict"
	"github.com/acrlab/acrlab/harness/world"
	"github.com/acrlab/acrlab/internal/need"
)

// azureCLI is the Azure CLI of this machine.
func azureCLI(t *testing.T) *az.CLI {
	t.Helper()
	cli, err := az.Find(t.Context())
	if missing, ok := errors.AsType[*az.Missing](err); ok {
		need.Component(t, "az", missing.Error())
	}
	require.NoError(t, err)
	return cli
}

// Every remedy that is made of az commands heals when the real az runs them on
// the client host, as they are printed and in that order.
func TestRemediesRunAsPrinted(t *testing.T) {
	needsNamespaces(t)
	cli := azureCLI(t)
	if testing.Short() {
		t.Skip("az takes a second or two a command; run without -short")
	}
	for _, s := range catalogue(t) {
		if s.IsHealthy() {
			continue
		}
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.Modes, o.AZ = []verdict.Mode{verdict.WithAzure}, cli
			results := run.Scenario(t.Context(), s, o)
			require.Len(t, results, 1)
			r := results[0]
			require.Equal(t, string(verdict.Right), r.Outcome(), r.Reason())
			require.NotNil(t, r.Healed)
			var azure, other int
			var cannot error
			for _, f := range r.Diagnosis.Findings {
				for _, c := range f.Remedy.Commands {
					if strings.HasPrefix(c, "az ") {
						azure++
						cannot = errors.Join(cannot, cli.Can(c))
					} else {
						other++
					}
				}
			}
			switch {
			case cannot != nil:
				require.Equal(t, verdict.ByChanges, r.Healed.By)
				require.Contains(t, r.Healed.Because, "needs the extension")
				t.Logf("carried out by its changes: %s", r.Healed.Because)
			case azure > 0 && other == 0:
				require.Equal(t, verdict.ByAZ, r.Healed.By, r.Healed.Because)
			default:
				require.Equal(t, verdict.ByChanges, r.Healed.By)
				require.Contains(t, r.Healed.Because, "not made of az commands")
			}
		})
	}
}

// azLab is a running network with az signed in on its client.
type azLab struct {
	*testing.T
	world *world.World
	az    *az.Session
}

func openAZ(t *testing.T, s *topology.Scenario) *azLab {
	t.Helper()
	cli := azureCLI(t)
	w, err := world.Open(t.Context(), namespaces, s.Healthy)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	l := &azLab{T: t, world: w, az: &az.Session{CLI: cli, World: w.World, Host: w.Network().Client}}
	require.NoError(t, l.az.Login(t.Context(), w.AzureCredentials()))
	return l
}

// run runs a command as a person would type it and demands that it succeeds.
func (l *azLab) run(command string) az.Result {
	l.Helper()
	r, err := l.az.Shell(l.Context(), command)
	require.NoError(l, err)
	require.Zero(l, r.ExitCode, "%s: %s%s", command, r.Stdout, r.Stderr)
	return r
}

// read runs a command and decodes what it prints.
func (l *azLab) read(command string, into any) {
	l.Helper()
	require.NoError(l, json.Unmarshal([]byte(l.run(command).Stdout), into), command)
}

// refused runs a command that Azure must refuse with these words.
func (l *azLab) refused(command, words string) {
	l.Helper()
	r, err := l.az.Shell(l.Context(), command)
	require.NoError(l, err)
	require.NotZero(l, r.ExitCode, "%s: %s", command, r.Stdout)
	require.Contains(l, r.Stderr, words, command)
}

func (l *azLab) pull() (exitCode int, output string) {
	l.Helper()
	var out bytes.Buffer
	c := &fabric.Command{Args: []string{acrlab, "pull", "--timeout", "10s", l.world.Image()}, Stdout: &out, Stderr: &out}
	require.NoError(l, l.world.Run(l.Context(), l.world.Network().Client, c))
	return c.ExitCode, out.String()
}

func (l *azLab) pulls(after string) {
	l.Helper()
	code, out := l.pull()
	require.Zero(l, code, "after %s: %s", after, out)
}

// fails demands that the pull fails with these words.
func (l *azLab) fails(after, words string) {
	l.Helper()
	code, out := l.pull()
	require.NotZero(l, code, "after %s: %s", after, out)
	require.Contains(l, out, words, "after %s", after)
}

// does runs a command after which the pull succeeds.
func (l *azLab) does(command string) {
	l.Helper()
	l.run(command)
	l.pulls(command)
}

// breaks runs a command after which the pull fails with these words.
func (l *azLab) breaks(command, words string) {
	l.Helper()
	l.run(command)
	l.fails(command, words)
}

// The Azure CLI, unmodified, signs in, reads, checks and changes one running
// network, and the next pull shows what it changed.
func TestAZReadsAndChangesARunningNetwork(t *testing.T) {
	needsNamespaces(t)
	if testing.Short() {
		t.Skip("az takes a second or two a command; run without -short")
	}
	s, err := topology.Load("healthy-private-endpoint")
	require.NoError(t, err)
	l := openAZ(t, s)
	l.pulls("opening the network")
	const denied = "is not allowed access"
	vnet := "/subscriptions/" + state.Subscription + "/resourceGroups/acrlab/providers/Microsoft.Network/virtualNetworks/hub"

	t.Run("account", func(t *testing.T) {
		var account struct{ ID, TenantID string }
		l.read("az account show", &account)
		require.Equal(t, state.Subscription, account.ID)
		require.Equal(t, state.Tenant, account.TenantID)
	})
	t.Run("registry", func(t *testing.T) {
		var registry struct{ LoginServer, PublicNetworkAccess string }
		l.read("az acr show -n myregistry", &registry)
		require.Equal(t, "myregistry.azurecr.io", registry.LoginServer)
		require.Equal(t, "Disabled", registry.PublicNetworkAccess)
	})
	t.Run("check-health", func(t *testing.T) {
		out := l.run("az acr check-health -n myregistry --yes --ignore-errors").Stderr
		for _, line := range []string{
			"DNS lookup to myregistry.azurecr.io at IP 10.0.2.5 : OK",
			"Challenge endpoint https://myregistry.azurecr.io/v2/ : OK",
			"Fetch refresh token for registry 'myregistry.azurecr.io' : OK",
			"Fetch access token for registry 'myregistry.azurecr.io' : OK",
		} {
			require.Contains(t, out, line)
		}
		out = l.run("az acr check-health -n myregistry --yes --ignore-errors --vnet hub").Stderr
		require.Contains(t, out, "DNS routing to private endpoint : OK")
	})
	t.Run("login", func(t *testing.T) {
		var token struct{ AccessToken, LoginServer string }
		l.read("az acr login -n myregistry --expose-token", &token)
		require.NotEmpty(t, token.AccessToken)
		require.Equal(t, "myregistry.azurecr.io", token.LoginServer)
	})
	t.Run("private DNS link", func(t *testing.T) {
		l := l.of(t)
		var links []struct{ Name string }
		l.read("az network private-dns link vnet list -g acrlab -z privatelink.azurecr.io", &links)
		require.Len(t, links, 1)
		l.breaks("az network private-dns link vnet delete -g acrlab -z privatelink.azurecr.io --yes -n "+links[0].Name, denied)
		l.refused("az acr check-health -n myregistry --yes --ignore-errors --vnet hub", "DNS routing verification failed")
		l.does("az network private-dns link vnet create -g acrlab -z privatelink.azurecr.io -n hub --registration-enabled false --virtual-network " + vnet)
	})
	t.Run("private DNS record", func(t *testing.T) {
		l := l.of(t)
		l.breaks("az network private-dns record-set a delete -g acrlab -z privatelink.azurecr.io -n myregistry --yes", "no such host")
		l.does("az network private-dns record-set a add-record -g acrlab -z privatelink.azurecr.io -n myregistry -a 10.0.2.5")
	})
	t.Run("private endpoint connection", func(t *testing.T) {
		l := l.of(t)
		l.run("az acr private-endpoint-connection reject -r myregistry -n pe-registry")
		if code, out := l.pull(); code == 0 {
			t.Errorf("a rejected connection still pulls: %s", out)
		}
		l.does("az acr private-endpoint-connection approve -r myregistry -n pe-registry")
	})
	t.Run("network security group", func(t *testing.T) {
		l := l.of(t)
		l.run("az network nsg create -g acrlab -n nsg-clients")
		l.does("az network vnet subnet update -g acrlab --vnet-name hub -n clients --network-security-group nsg-clients")
		l.breaks("az network nsg rule create -g acrlab --nsg-name nsg-clients -n deny --priority 200 --direction Outbound --access Deny --protocol Tcp"+
			" --destination-address-prefixes VirtualNetwork --destination-port-ranges 443", "timeout")
		l.does("az network nsg rule create -g acrlab --nsg-name nsg-clients -n allow --priority 199 --direction Outbound --access Allow --protocol Tcp" +
			" --destination-address-prefixes VirtualNetwork --destination-port-ranges 443")
	})
	t.Run("route", func(t *testing.T) {
		l := l.of(t)
		l.run("az network route-table create -g acrlab -n rt-clients")
		l.run("az network route-table route create -g acrlab --route-table-name rt-clients -n drop --address-prefix 10.0.2.5/32 --next-hop-type None")
		// The route of a private endpoint yields only where its subnet says so.
		l.does("az network vnet subnet update -g acrlab --vnet-name hub -n clients --route-table rt-clients")
		l.breaks("az network vnet subnet update -g acrlab --vnet-name hub -n endpoints --private-endpoint-network-policies RouteTableEnabled", "timeout")
		l.does("az network route-table route delete -g acrlab --route-table-name rt-clients -n drop")
	})
	t.Run("network rules", func(t *testing.T) {
		l := l.of(t)
		l.run("az acr update -n myregistry --public-network-enabled true --default-action Deny")
		l.breaks("az network private-dns link vnet delete -g acrlab -z privatelink.azurecr.io --yes -n hub", denied)
		l.does("az acr network-rule add -n myregistry --ip-address " + egress(t, l))
		var rules struct {
			IPRules []struct{ IPAddressOrRange string }
		}
		l.read("az acr network-rule list -n myregistry", &rules)
		require.Len(t, rules.IPRules, 1)
		l.breaks("az acr network-rule remove -n myregistry --ip-address "+rules.IPRules[0].IPAddressOrRange, denied)
		l.does("az network private-dns link vnet create -g acrlab -z privatelink.azurecr.io -n hub --registration-enabled false --virtual-network " + vnet)
	})
	t.Run("provider", func(t *testing.T) {
		l := l.of(t)
		var provider struct{ RegistrationState string }
		l.run("az provider unregister -n Microsoft.ContainerRegistry")
		l.read("az provider show -n Microsoft.ContainerRegistry", &provider)
		require.NotEqual(t, "Registered", provider.RegistrationState)
		l.run("az provider register -n Microsoft.ContainerRegistry")
		l.read("az provider show -n Microsoft.ContainerRegistry", &provider)
		require.Equal(t, "Registered", provider.RegistrationState)
	})
	t.Run("lock", func(t *testing.T) {
		l := l.of(t)
		var locks []struct{ Name string }
		l.run("az lock create -n keep -g acrlab --lock-type ReadOnly")
		l.read("az lock list -g acrlab", &locks)
		require.Len(t, locks, 1)
		l.refused("az acr update -n myregistry --tags unlocked=no", "ScopeLocked")
		l.run("az lock delete -n keep -g acrlab")
		l.read("az lock list -g acrlab", &locks)
		require.Empty(t, locks)
		l.does("az acr update -n myregistry --tags unlocked=yes")
	})
}

// of reports to a subtest.
func (l *azLab) of(t *testing.T) *azLab { return &azLab{T: t, world: l.world, az: l.az} }

// egress is the address that the registry says it refuses.
func egress(t *testing.T, l *azLab) string {
	t.Helper()
	_, out := l.pull()
	_, rest, found := strings.Cut(out, "client with IP '")
	require.True(t, found, out)
	address, _, _ := strings.Cut(rest, "'")
	return address
}
