package plan

import (
	"maps"
	"slices"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
)

// Input is all that a network is made from. What Azure holds comes from State
// alone; the rest says what no resource says.
type Input struct {
	State azure.State
	// Site has its defaults filled in.
	Site topology.Site
	// DNSServers are the programs on the virtual machines of these names; their
	// addresses are those of the machines' network interfaces.
	DNSServers map[string]topology.DNSServer
	// Content is what registries hold: registry, repository, tags.
	Content map[string]map[string][]string
}

// InputOf takes from a topology what an Azure state cannot carry.
func InputOf(s azure.State, t topology.Topology) Input {
	in := Input{State: s, DNSServers: t.DNSServers}
	if t.Site != nil {
		in.Site = *t.Site
	}
	if r := t.Registry; r != nil {
		in.Content = map[string]map[string][]string{r.Name: r.Repositories}
	}
	return in
}

// Make plans the network. The same input gives the same network, byte for
// byte; the input is not changed. An error names the resource or the part of
// the site that cannot be understood.
func Make(in Input) (*Network, error) {
	w, err := read(in)
	if err != nil {
		return nil, err
	}
	b := &builder{world: w, hosts: map[string]*Host{}, net: &Network{Client: clientHost}}
	if err := b.build(); err != nil {
		return nil, err
	}
	return b.net, nil
}

// FromTopology builds a topology's Azure state and plans its network.
func FromTopology(t topology.Topology) (*Network, error) {
	s, err := state.Build(t)
	if err != nil {
		return nil, err
	}
	return Make(InputOf(s, t))
}

// AzureCredentials are the environment variables with which a diagnoser (or
// az, Terraform, an SDK's DefaultAzureCredential) reads the subscription. They
// are not part of any host's environment: whether a diagnoser has access to
// Azure is the runner's choice.
// https://learn.microsoft.com/azure/developer/go/sdk/authentication/authentication-overview
func AzureCredentials(s azure.State) map[string]string {
	return map[string]string{
		"AZURE_TENANT_ID":       s.Tenant,
		"AZURE_CLIENT_ID":       state.ApplicationID,
		"AZURE_CLIENT_SECRET":   state.ClientSecret,
		"AZURE_SUBSCRIPTION_ID": s.Subscription,
	}
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
