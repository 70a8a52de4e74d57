package scenarios_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/registry/conformance"
	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/world"
	"github.com/acrlab/acrlab/internal/need"
)

// The OCI distribution specification's own suite, run as a program on the
// client host with the registry token of the client, finds nothing wrong: over
// the simulated network, DNS and TLS the registry behaves as one.
func TestRegistryConformsToTheSpecificationInsideATopology(t *testing.T) {
	needsNamespaces(t)
	if testing.Short() {
		t.Skip("skipping the conformance suite; run without -short")
	}
	suite, err := conformance.Build(t.Context())
	if err != nil {
		need.Component(t, "conformance", fmt.Sprintf("%v; try: %s", err, conformance.Command))
	}
	for _, id := range []string{"healthy-public", "healthy-private-endpoint"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			s, err := topology.Load(id)
			require.NoError(t, err)
			w, err := world.Open(t.Context(), namespaces, s.Healthy)
			require.NoError(t, err)
			defer func() { require.NoError(t, w.Close()) }()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "oci-conformance.yaml"), conformance.Config, 0o600))
			results := filepath.Join(dir, "results")
			var out bytes.Buffer
			cmd := &fabric.Command{Args: []string{suite}, Dir: dir, Stdout: &out, Stderr: &out, Env: map[string]string{
				"OCI_REGISTRY": "myregistry.azurecr.io", "OCI_USERNAME": state.TokenName, "OCI_PASSWORD": state.TokenPassword,
				"OCI_RESULTS_DIR": results,
			}}
			require.NoError(t, w.Run(t.Context(), w.Network().Client, cmd))
			r, err := conformance.ReadResults(results)
			require.NoError(t, err, out.String())
			require.Empty(t, r.Failures)
			require.Zero(t, cmd.ExitCode, out.String())
			require.Greater(t, r.Tests-r.Skipped, 400)
			t.Logf("%d tests, %d skipped, %d disabled", r.Tests, r.Skipped, r.Disabled)
		})
	}
}
