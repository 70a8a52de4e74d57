package scenarios_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/run"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/verdict"
	"github.com/acrlab/acrlab/harness/world"
)

func load(b *testing.B, id string) *topology.Scenario {
	b.Helper()
	needsNamespaces(b)
	s, err := topology.Load(id)
	require.NoError(b, err)
	return s
}

// A whole topology with all its services, up and down.
func BenchmarkTopologyUpDown(b *testing.B) {
	for _, id := range []string{"healthy-public", "healthy-private-endpoint", "healthy-behind-proxy"} {
		b.Run(id, func(b *testing.B) {
			s := load(b, id)
			hosts := 0
			for b.Loop() {
				w, err := world.Open(b.Context(), namespaces, s.Healthy)
				require.NoError(b, err)
				hosts = len(w.Network().Hosts)
				require.NoError(b, w.Close())
			}
			b.ReportMetric(float64(hosts), "hosts")
		})
	}
}

// The change from a healthy to a broken network in place, and back.
func BenchmarkReconcile(b *testing.B) {
	s := load(b, "nsg-outbound-deny")
	w, err := world.Open(b.Context(), namespaces, s.Healthy)
	require.NoError(b, err)
	defer w.Close()
	for b.Loop() {
		require.NoError(b, w.Become(b.Context(), s.Broken))
		require.NoError(b, w.Become(b.Context(), s.Healthy))
	}
}

// One run of the diagnoser as a program on the client host.
func BenchmarkDiagnose(b *testing.B) {
	for _, c := range []struct {
		name, id string
		azure    bool
	}{
		{"healthy", "healthy-public", false},
		{"healthy-with-azure", "healthy-public", true},
		{"silent-drop", "firewall-drops-rest", false},
		{"silent-drop-with-azure", "nsg-outbound-deny", true},
		{"silent-data-drop", "firewall-drops-data", false},
		{"resolver-silent", "dns-resolver-unreachable", false},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := load(b, c.id)
			w, err := world.Open(b.Context(), namespaces, s.Broken)
			require.NoError(b, err)
			defer w.Close()
			var env map[string]string
			if c.azure {
				env = w.AzureCredentials()
			}
			for b.Loop() {
				a, err := options().Diagnoser.Ask(b.Context(), w.World, w.Network().Client, w.Image(), env)
				require.NoError(b, err)
				require.NoError(b, a.Problem)
			}
		})
	}
}

// One scenario through its four phases, without pulling clients.
func BenchmarkScenario(b *testing.B) {
	for _, id := range []string{"healthy-public", "dns-zone-not-linked", "sni-blocked"} {
		b.Run(id, func(b *testing.B) {
			s, o := load(b, id), options()
			o.Puller = nil
			for b.Loop() {
				for _, r := range run.Scenario(b.Context(), s, o) {
					require.Equal(b, string(verdict.Right), r.Outcome(), r.Reason())
				}
			}
		})
	}
}

// The whole catalogue, clients included.
func BenchmarkCatalogue(b *testing.B) {
	for _, parallel := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) {
			needsNamespaces(b)
			list := catalogue(b)
			// 5 sets the peak back to the present size (proc(5), clear_refs).
			require.NoError(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
			goroutines := runtime.NumGoroutine()
			descriptors, spaces := held(b)
			for b.Loop() {
				results := run.All(b.Context(), list, run.Schedule{Parallel: parallel, KeepGoing: true}, options(), nil)
				require.Len(b, results, 2*len(list))
			}
			b.ReportMetric(float64(peak(b))/1024, "MiB-peak")
			// Pipes for splicing between connections wait in a pool of the
			// standard library (internal/poll/splice_linux.go) for the second
			// garbage collection.
			runtime.GC()
			runtime.GC()
			nowDescriptors, nowSpaces := held(b)
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines-left")
			b.ReportMetric(float64(nowDescriptors-descriptors), "descriptors-left")
			b.ReportMetric(float64(nowSpaces-spaces), "namespaces-left")
		})
	}
}

// peak is the largest resident size of this process so far, in KiB (proc(5), VmHWM).
func peak(b *testing.B) int {
	raw, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(b, err)
			return n
		}
	}
	b.Fatal("/proc/self/status has no VmHWM")
	return 0
}
