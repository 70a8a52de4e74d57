//go:build linux

package client

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
	"github.com/acrlab/acrlab/fakes/registry"
	"github.com/acrlab/acrlab/harness/fabric"
)

// inside marks the copy of this test that runs in its own namespaces.
const inside = "ACRLAB_TEST_ENGINES_INSIDE"

// TestEnginesPullForReal runs every engine of the machine against the fake
// registry, on 127.0.0.1:443 of a network namespace without any link.
func TestEnginesPullForReal(t *testing.T) {
	if os.Getenv(inside) != "" {
		testEnginesInside(t)
		return
	}
	if testing.Short() {
		t.Skip("skipping container engines; run without -short")
	}
	required := strings.Contains(os.Getenv("ACRLAB_REQUIRE"), "engines")
	if os.Geteuid() != 0 {
		if required {
			t.Fatal("ACRLAB_REQUIRE names engines, and dockerd and containerd need root")
		}
		t.Skip("container engines need root; try: sudo go test ./harness/client -run TestEnginesPullForReal")
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", "^TestEnginesPullForReal$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	if err != nil && errors.Is(err, syscall.EPERM) && !required {
		t.Skipf("namespaces are not allowed here: %v", err)
	}
	require.NoError(t, err, string(out))
	t.Logf("%s", out)
}

// local is a world of one host: the namespace that the test runs in.
type local struct {
	fabric.World
	env map[string]string
}

func (l local) Run(ctx context.Context, _ string, cmd *fabric.Command) error {
	p := exec.CommandContext(ctx, cmd.Args[0], cmd.Args[1:]...)
	env := map[string]string{"PATH": os.Getenv("PATH")}
	maps.Copy(env, l.env)
	maps.Copy(env, cmd.Env)
	for k, v := range env {
		p.Env = append(p.Env, k+"="+v)
	}
	p.Stdout, p.Stderr = cmd.Stdout, cmd.Stderr
	err := p.Run()
	cmd.ExitCode = p.ProcessState.ExitCode()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return nil
	}
	return err
}

func testEnginesInside(t *testing.T) {
	require.NoError(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	require.NoError(t, syscall.Mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"))
	dir, err := os.MkdirTemp("/tmp", "test-")
	require.NoError(t, err)
	require.NoError(t, syscall.Mount("proc", "/proc", "proc", 0, ""))
	hosts := filepath.Join(dir, "hosts")
	require.NoError(t, os.WriteFile(hosts, []byte("127.0.0.1 localhost "+loginName+" "+storageName+"\n"), 0o644))
	require.NoError(t, syscall.Mount(hosts, "/etc/hosts", "", syscall.MS_BIND, ""))
	lo, err := netlink.LinkByName("lo")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetUp(lo))

	cfg := registry.Config{Name: "myregistry", LoginServer: loginName, Regions: []registry.Region{{Name: "eastus", Storage: storageName}},
		Public: registry.Access{Default: true}, Users: map[string]string{"admin": "secret"}}
	reg, err := registry.New(cfg)
	require.NoError(t, err)
	ca, err := pki.New(pki.AzureSubject)
	require.NoError(t, err)
	bundle := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(bundle, ca.PEM(), 0o644))
	s, err := registry.Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:443")},
		registry.Front{Registry: "myregistry", Region: "eastus", Roles: map[string]registry.Role{loginName: registry.Login, storageName: registry.Storage}}, reg, ca)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()

	w := local{env: map[string]string{"HOME": dir, "SSL_CERT_FILE": bundle}}
	denied := cfg
	denied.Public = registry.Access{}
	admin := Credentials{"admin", "secret"}
	for _, e := range Find() {
		t.Run(e.Name, func(t *testing.T) {
			if e.Missing != "" {
				if strings.Contains(os.Getenv("ACRLAB_REQUIRE"), "engines") {
					t.Fatal("ACRLAB_REQUIRE names engines: " + e.Missing)
				}
				t.Skip(e.Missing)
			}
			res, err := e.Pull(t.Context(), w, "client", loginName+"/hello-world", admin)
			require.NoError(t, err)
			require.Zero(t, res.ExitCode, res.Stderr)

			res, err = e.Pull(t.Context(), w, "client", loginName+"/hello-world", Credentials{})
			require.NoError(t, err)
			require.Equal(t, 1, res.ExitCode, res.Stdout)
			require.Contains(t, strings.ToLower(res.Stderr), "unauthorized")

			require.NoError(t, reg.Update(denied))
			defer func() { require.NoError(t, reg.Update(cfg)) }()
			res, err = e.Pull(t.Context(), w, "client", loginName+"/hello-world", Credentials{})
			require.NoError(t, err)
			require.Equal(t, 1, res.ExitCode, res.Stdout)
			want := "403"
			if e.Name == "docker" {
				want = "client with IP '127.0.0.1' is not allowed access"
			}
			require.Contains(t, res.Stderr, want)
			t.Log(res.Stderr)

			if e.login == "" {
				return
			}
			res, err = e.Login(t.Context(), w, "client", loginName, admin)
			require.NoError(t, err)
			require.NotZero(t, res.ExitCode)
			require.Contains(t, res.Stderr, "403")
		})
	}
	left, err := filepath.Glob("/tmp/acrlab.*")
	require.NoError(t, err)
	require.Empty(t, left, "daemons and their folders are gone")
}
