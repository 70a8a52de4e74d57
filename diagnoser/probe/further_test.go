package probe

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatAzureNamesIsProbedAndJoined(t *testing.T) {
	w := newWorld(t)
	silent, endpoint := "myregistry.westeurope.data.azurecr.io", netip.MustParseAddr("10.0.2.5")
	w.zone[silent] = []string{"A 192.0.2.77"}
	w.up()
	w.tcp[addr443(endpoint)] = w.tcp[addr443(loginAddr)]
	main := Run(t.Context(), w, w.target, w.opt)
	more := Further(t.Context(), w, w.target, w.opt, Named{DataHosts: []string{dataName, silent, silent}, Endpoints: map[netip.Addr]string{endpoint: login}})
	require.Len(t, more.Paths, 2, "each host once")
	before := len(main.Paths)
	main.Add(more)
	require.Len(t, main.Paths, before+1, "what was seen already is not seen twice")
	require.Equal(t, Silence, main.Paths[before].TCP.Outcome)
	require.Len(t, main.Endpoints, 1)
	require.Equal(t, Connected, main.Endpoints[0].TCP.Outcome)
	main.Add(nil)
}

func TestSearchDomainsAreAskedOnlyWhereClientsAskThemFirst(t *testing.T) {
	for dots, asked := range map[string]bool{"ndots:5": true, "ndots:1": false, "rotate": false, "ndots:x": false} {
		t.Run(dots, func(t *testing.T) {
			w := newWorld(t)
			w.files["/etc/resolv.conf"] += "search corp.example\noptions " + dots + "\n"
			w.zone[login+".corp.example"] = []string{"A 10.9.9.9"}
			r := w.run()
			found := false
			for _, l := range r.Lookups {
				found = found || l.Name == login+".corp.example" && len(l.Addrs) == 1
			}
			require.Equal(t, asked, found)
			require.True(t, r.API.Blob.OK)
		})
	}
}

func TestAPushIsTriedAndCancelledOnRequestOnly(t *testing.T) {
	var asked []string
	world := func(t *testing.T, location string) *world {
		w := newWorld(t)
		pull := w.handlers[loginAddr]
		asked = nil
		w.handlers[loginAddr] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, "/uploads/") {
				pull.ServeHTTP(rw, r)
				return
			}
			w.mu.Lock()
			asked = append(asked, r.Method)
			w.mu.Unlock()
			rw.Header().Set("Location", location)
			rw.WriteHeader(map[string]int{"DELETE": 204}[r.Method] | map[string]int{"POST": 202, "PATCH": 202}[r.Method])
		})
		return w
	}
	t.Run("not by itself", func(t *testing.T) {
		r := world(t, "/v2/hello/blobs/uploads/1").run()
		require.Nil(t, r.API.Push)
		require.Empty(t, asked)
		require.Contains(t, r.Omitted, Omission{"push", "it would write to the registry; --push opens an upload and cancels it"})
	})
	t.Run("on request", func(t *testing.T) {
		w := world(t, "/v2/hello/blobs/uploads/1")
		w.opt.Push = true
		r := w.run()
		require.True(t, r.API.Push.OK)
		require.Equal(t, []string{"POST", "PATCH", "DELETE"}, asked)
		require.True(t, r.API.Token.Granted)
	})
	t.Run("an upload elsewhere gets no token", func(t *testing.T) {
		w := world(t, "https://evil.example/v2/hello/blobs/uploads/1")
		w.opt.Push = true
		r := w.run()
		require.False(t, r.API.Push.OK)
		require.Equal(t, []string{"POST"}, asked)
		require.Contains(t, r.API.Push.HTTP.Err, "not on the login server")
	})
}
