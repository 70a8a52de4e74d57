package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/registry/conformance"
	"github.com/acrlab/acrlab/internal/need"
)

// TestConformance runs the OCI suite against the fake over TLS, with
// credentials, once with downloads from a data endpoint and once from storage.
// The suite reaches all names through a proxy that knows only the fake.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("skipping the conformance suite; run without -short")
	}
	suite, err := conformance.Build(t.Context())
	if err != nil {
		need.Component(t, "conformance", fmt.Sprintf("%v; try: %s", err, conformance.Command))
	}
	for name, data := range map[string]bool{"data endpoint": true, "storage": false} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			cfg.DataEndpoints = data
			s, ca := serve(t, newRegistry(t, cfg), testFront())
			dir := t.TempDir()
			write(t, filepath.Join(dir, "ca.pem"), ca.PEM())
			write(t, filepath.Join(dir, "oci-conformance.yaml"), conformance.Config)

			cmd := exec.CommandContext(t.Context(), suite)
			cmd.Dir = dir
			cmd.Env = []string{
				"HTTPS_PROXY=" + connectProxy(t, s.Addrs()[0].String()),
				"SSL_CERT_FILE=" + filepath.Join(dir, "ca.pem"), "SSL_CERT_DIR=" + dir,
				"OCI_REGISTRY=" + loginName, "OCI_USERNAME=admin", "OCI_PASSWORD=secret",
				"OCI_RESULTS_DIR=" + filepath.Join(dir, "results"),
			}
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			runErr := cmd.Run()
			results, err := conformance.ReadResults(filepath.Join(dir, "results"))
			require.NoError(t, err, out.String())
			require.Empty(t, results.Failures)
			require.NoError(t, runErr, out.String())
			require.Greater(t, results.Tests, 500)
			t.Logf("%d tests, %d skipped, %d disabled", results.Tests, results.Skipped, results.Disabled)
		})
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

// connectProxy tunnels every CONNECT to one address.
func connectProxy(t *testing.T, target string) string {
	t.Helper()
	var tunnels sync.WaitGroup
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		to, err := new(net.Dialer).DialContext(context.WithoutCancel(r.Context()), "tcp", target)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		from, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			_ = to.Close()
			return
		}
		_, _ = io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			tunnels.Go(func() {
				_, _ = io.Copy(pair[0], pair[1])
				_ = pair[0].Close()
				_ = pair[1].Close()
			})
		}
	}))
	t.Cleanup(func() { p.Close(); tunnels.Wait() })
	return p.URL
}
