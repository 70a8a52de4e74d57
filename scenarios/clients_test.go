package scenarios_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/client"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/world"
	"github.com/acrlab/acrlab/internal/need"
)

var token = client.Credentials{Username: state.TokenName, Password: state.TokenPassword}

// credentialsFor a pull: ctr has to be told, the others read the host's Docker
// configuration as they would after a docker login of yesterday.
func credentialsFor(e client.Engine) client.Credentials {
	if e.Name == "containerd" {
		return token
	}
	return client.Credentials{}
}

// engineFor finds the engine behind a key of expect.client: "docker pull" and
// "docker login" are docker's.
func engineFor(t *testing.T, key string) client.Engine {
	t.Helper()
	name, _, _ := strings.Cut(key, " ")
	for _, e := range client.Find() {
		if e.Name != name {
			continue
		}
		need.Component(t, name, e.Missing)
		return e
	}
	t.Fatalf("expect.client has %q, and no such client is known", key)
	return client.Engine{}
}

// Unmodified container engines, run in the broken networks, fail with the words
// that the scenarios promise.
func TestRealClientsSayWhatTheScenariosPromise(t *testing.T) {
	needsNamespaces(t)
	if testing.Short() {
		t.Skip("some engines take minutes to give up on a silent data endpoint; run without -short")
	}
	for _, s := range catalogue(t) {
		for key, want := range s.Expect.Client {
			if key == "crane" {
				continue // every run of the scenario has it
			}
			t.Run(s.ID+"/"+strings.ReplaceAll(key, " ", "-"), func(t *testing.T) {
				t.Parallel()
				out := fails(t, s, key)
				require.Regexp(t, regexp.MustCompile(want), out)
			})
		}
	}
}

// fails runs a client on the broken network, expects it to fail and returns
// what it wrote.
func fails(t *testing.T, s *topology.Scenario, key string) string {
	t.Helper()
	e := engineFor(t, key)
	w, err := world.Open(t.Context(), namespaces, s.Broken)
	require.NoError(t, err)
	defer func() { require.NoError(t, w.Close()) }()
	var r client.Result
	if strings.HasSuffix(key, " login") {
		registry, _, _ := strings.Cut(w.Image(), "/")
		r, err = e.Login(t.Context(), w.World, w.Network().Client, registry, token)
	} else {
		r, err = e.Pull(t.Context(), w.World, w.Network().Client, w.Image(), credentialsFor(e))
	}
	require.NoError(t, err)
	require.NotZero(t, r.ExitCode, "%s succeeds: %s", key, r.Stdout)
	require.NotEqual(t, 125, r.ExitCode, "the engine itself did not start: %s", r.Stderr)
	return r.Stdout + r.Stderr
}

// The same engines pull from every healthy base.
func TestRealClientsPullFromHealthyNetworks(t *testing.T) {
	needsNamespaces(t)
	for _, id := range []string{"healthy-public", "healthy-private-endpoint", "healthy-behind-proxy", "healthy-geo-replicated"} {
		for _, name := range []string{"docker", "containerd", "skopeo"} {
			t.Run(id+"/"+name, func(t *testing.T) {
				t.Parallel()
				e := engineFor(t, name)
				s, err := topology.Load(id)
				require.NoError(t, err)
				w, err := world.Open(t.Context(), namespaces, s.Healthy)
				require.NoError(t, err)
				defer func() { require.NoError(t, w.Close()) }()
				r, err := e.Pull(t.Context(), w.World, w.Network().Client, w.Image(), credentialsFor(e))
				require.NoError(t, err)
				require.Zero(t, r.ExitCode, r.Stdout+r.Stderr)
			})
		}
	}
}
