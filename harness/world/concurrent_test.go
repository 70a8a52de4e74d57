package world_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/world"
)

// writer is one client of Azure Resource Manager with things of its own beside
// those of others: rules in one security group, routes in one table, records
// in one zone, tags of one registry.
type writer struct {
	n       int
	denies  bool              // its rule, on port 9000+n
	routes  map[string]string // name → prefix
	records map[string]string // name → address
	tag     string
}

// step is its i-th write.
func (w *writer) step(ctx context.Context, l *lab, i int) error {
	var method, id, body string
	want := 300 // the status is less
	name := fmt.Sprintf("w%d-%d", w.n, i%24/8)
	switch i % 8 {
	case 0, 4:
		w.denies = i%8 == 0
		access := map[bool]string{true: "Deny", false: "Allow"}[w.denies]
		method, id = "PUT", groupID+fmt.Sprintf("/securityRules/w%d", w.n)
		body = fmt.Sprintf(`{"properties":{"priority":%d,"direction":"Outbound","access":%q,"protocol":"Tcp","sourceAddressPrefix":"*",
			"sourcePortRange":"*","destinationAddressPrefix":"10.0.2.5","destinationPortRange":"%d"}}`, 200+w.n, access, 9000+w.n)
	case 1:
		prefix := fmt.Sprintf("10.%d.%d.0/24", 200+w.n, i%24)
		w.routes[name] = prefix
		method, id, body = "PUT", tableID+"/routes/"+name, `{"properties":{"addressPrefix":"`+prefix+`","nextHopType":"None"}}`
	case 2, 6:
		at := fmt.Sprintf("10.9.%d.%d", w.n, i%250)
		w.records[name] = at
		method, id, body = "PUT", state.ID(state.TypeARecord, zoneName, name), `{"properties":{"TTL":10,"aRecords":[{"ipv4Address":"`+at+`"}]}}`
	case 3:
		w.tag = fmt.Sprint(i)
		method, id, body = "PATCH", groupTags, fmt.Sprintf(`{"tags":{"w%d":%q}}`, w.n, w.tag)
	case 5:
		if i%3 == 0 {
			delete(w.routes, name)
			method, id = "DELETE", tableID+"/routes/"+name
			break
		}
		delete(w.records, name)
		method, id = "DELETE", state.ID(state.TypeARecord, zoneName, name)
	case 7: // refused
		method, id, want = "PUT", tableID+fmt.Sprintf("/routes/bad%d", w.n), 500
		body = `{"properties":{"addressPrefix":"everywhere","nextHopType":"None"}}`
	}
	status, answer, err := l.arm(ctx, method, id, body)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, id, err)
	case status >= want || want == 500 && status < 400:
		return fmt.Errorf("%s %s: %d %s", method, id, status, answer)
	}
	return nil
}

var (
	groupID   = state.ID(state.TypeSecurityGroup, "shared")
	tableID   = state.ID(state.TypeRouteTable, "shared")
	groupTags = state.ID(state.TypePrivateDNSZone, zoneName)
)

// Eight clients write at the same time, to different parts of the same
// resources, while an image is pulled again and again. Everything that was
// answered is there at the end, in Azure and in the network.
func TestConcurrentWritesLoseNothing(t *testing.T) {
	const clients = 8
	each := 125
	if testing.Short() {
		each = 24
	}
	top := base(t, "private-endpoint")
	l := open(t, top, world.Options{})
	l.signIn(t)
	l.http.Transport.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	l.write(t, "PUT", groupID, `{"location":"eastus","properties":{}}`)
	l.write(t, "PUT", tableID, `{"location":"eastus","properties":{}}`)
	nat := `"natGateway":{"id":"` + state.ID(state.TypeNATGateway, "hub-nat") + `"}`
	l.write(t, "PUT", state.SubnetID("hub", "clients"), `{"properties":{"addressPrefix":"10.0.1.0/24",`+nat+
		`,"networkSecurityGroup":{"id":"`+groupID+`"},"routeTable":{"id":"`+tableID+`"}}}`)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writing, pulling sync.WaitGroup
	writers := make([]*writer, clients)
	for n := range writers {
		w := &writer{n: n, routes: map[string]string{}, records: map[string]string{}}
		writers[n] = w
		writing.Go(func() {
			for i := range each {
				if err := w.step(ctx, l, i); err != nil {
					t.Errorf("write %d of client %d: %v", i, n, err)
					return
				}
			}
		})
	}
	images := 0
	pulling.Go(func() {
		for ctx.Err() == nil {
			if code, out := l.pull(t); code != 0 {
				t.Errorf("pull %d fails: %s", images, out)
				return
			}
			images++
		}
	})
	writing.Wait()
	stop()
	pulling.Wait()
	require.Positive(t, images)
	t.Logf("%d writes, %d pulls", clients*each, images)
	consistent(t, l, top)

	s := l.Azure().Snapshot()
	routes, records, rules, tags := map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}
	for name, r := range children(t, s.Resources[state.Key(tableID)].Properties, "routes") {
		routes[name] = r.AddressPrefix
	}
	for name, r := range children(t, s.Resources[state.Key(groupID)].Properties, "securityRules") {
		rules[name] = r.Access
	}
	list, err := state.ARecords(s)
	require.NoError(t, err)
	for _, r := range list {
		if strings.HasPrefix(r.Name, "w") {
			records[r.Name] = r.Properties.ARecords[0].IPv4Address
		}
	}
	for k, v := range s.Resources[state.Key(groupTags)].Tags {
		tags[k] = v
	}
	want := struct{ routes, records, rules, tags map[string]string }{map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}}
	for _, w := range writers {
		for k, v := range w.routes {
			want.routes[k] = v
		}
		for k, v := range w.records {
			want.records[k] = v
		}
		want.rules[fmt.Sprintf("w%d", w.n)] = map[bool]string{true: "Deny", false: "Allow"}[w.denies]
		want.tags[fmt.Sprintf("w%d", w.n)] = w.tag
	}
	require.Equal(t, want.routes, routes)
	require.Equal(t, want.rules, rules)
	require.Equal(t, want.records, records)
	require.Equal(t, want.tags, tags)

	for name, at := range want.records {
		resolves(name+"."+zoneName, at)(t, l)
	}
	for _, w := range writers {
		to := fmt.Sprintf("10.0.2.5:%d", 9000+w.n)
		if w.denies {
			silent(to)(t, l)
			continue
		}
		_, err := l.Dial(t.Context(), "client", "tcp", to)
		require.ErrorContains(t, err, "refused", "nothing listens there, but packets come through")
	}
	// And the other way round.
	for _, w := range writers {
		i := 0
		if w.denies {
			i = 4
		}
		require.NoError(t, w.step(t.Context(), l, i))
	}
	for _, w := range writers {
		if w.denies {
			silent(fmt.Sprintf("10.0.2.5:%d", 9000+w.n))(t, l)
		}
	}
	pulls(t, l)
}

type child struct{ AddressPrefix, Access string }

func children(t *testing.T, properties json.RawMessage, array string) map[string]child {
	t.Helper()
	var p map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(properties, &p))
	var list []struct {
		Name       string
		Properties child
	}
	require.NoError(t, json.Unmarshal(p[array], &list))
	out := map[string]child{}
	for _, e := range list {
		out[e.Name] = e.Properties
	}
	return out
}

// From the request of a write to its answer, which comes when packets have
// changed: a security rule, over TLS from the client host.
func BenchmarkWriteToReconciledNetwork(b *testing.B) {
	for _, name := range []string{"public", "private-endpoint", "azure-firewall"} {
		b.Run(name, func(b *testing.B) {
			l := open(b, base(b, name), world.Options{})
			l.signIn(b)
			i := 0
			writeGroup := func(method, rest, body string) { l.write(b, method, groupID+rest, body) }
			writeGroup("PUT", "", `{"location":"eastus","properties":{}}`)
			vnet := map[string]string{"public": "app"}[name]
			if vnet == "" {
				vnet = "hub"
			}
			subnetID := state.SubnetID(vnet, "clients")
			r, err := l.Azure().Get(subnetID)
			require.NoError(b, err)
			var p map[string]any
			require.NoError(b, json.Unmarshal(r.Properties, &p))
			p["networkSecurityGroup"] = map[string]string{"id": groupID}
			raw, err := json.Marshal(map[string]any{"properties": p})
			require.NoError(b, err)
			l.write(b, "PUT", subnetID, string(raw))
			for b.Loop() {
				i++
				writeGroup("PUT", "/securityRules/w", fmt.Sprintf(`{"properties":{"priority":200,"direction":"Outbound","access":"Deny","protocol":"Tcp",
					"sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"AzureContainerRegistry","destinationPortRange":"%d"}}`, 9000+i%1000))
			}
		})
	}
}
