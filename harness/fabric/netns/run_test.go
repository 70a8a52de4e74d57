//go:build linux

package netns_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/fabric/netns"
)

func TestProgramsReachTheNetworkOfTheirHost(t *testing.T) {
	w := up(t, routed())
	out, _, code := run(t, w, "client", "curl -s -m 1 telnet://20.0.0.2:443 </dev/null; hostname; cat /sys/class/net/eth0/operstate")
	require.Equal(t, "hello 10.0.0.2\nclient\nup", out)
	require.Zero(t, code)
}

func TestExitCodesAndStartErrors(t *testing.T) {
	w := up(t, routed())
	for script, want := range map[string]int{"true": 0, "exit 7": 7, "kill -TERM $$": 143, "kill -KILL $$": 137, "exit 255": 255} {
		_, _, code := run(t, w, "client", script)
		require.Equal(t, want, code, script)
	}
	notExecutable := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, os.WriteFile(notExecutable, []byte("x"), 0o644))
	cases := map[string]struct {
		args []string
		code int
		want string
	}{
		"not in PATH":    {[]string{"no-such-program"}, 127, `running no-such-program on "client": exec: "no-such-program": executable file not found in $PATH`},
		"no such path":   {[]string{"/no/such/program"}, 127, "no such file or directory"},
		"not executable": {[]string{notExecutable}, 126, "permission denied"},
	}
	for name, c := range cases {
		cmd := &fabric.Command{Args: c.args}
		err := w.Run(t.Context(), "client", cmd)
		require.ErrorContains(t, err, c.want, name)
		require.Equal(t, c.code, cmd.ExitCode, name)
	}
	require.ErrorContains(t, w.Run(t.Context(), "moon", &fabric.Command{Args: []string{"true"}}), `no host "moon"`)
	require.ErrorContains(t, w.Run(t.Context(), "client", &fabric.Command{}), "no program given")
	require.ErrorContains(t, w.Run(t.Context(), "client", &fabric.Command{Args: []string{"true"}, Dir: "/nowhere"}), "no such file or directory")
}

func TestOutputIsLiveAndComplete(t *testing.T) {
	w := up(t, routed())
	r, out := io.Pipe()
	in, feed := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- w.Run(t.Context(), "client", &fabric.Command{Args: []string{"sh", "-c", "echo ready; read x; echo got $x"}, Stdin: in, Stdout: out})
	}()
	buf := make([]byte, 100)
	n, err := r.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(buf[:n]))
	_, err = io.WriteString(feed, "this\n")
	require.NoError(t, err)
	n, err = r.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "got this\n", string(buf[:n]))
	require.NoError(t, <-done, "an open Stdin does not hold Run")

	var big bytes.Buffer
	cmd := &fabric.Command{Args: []string{"sh", "-c", "head -c 20000000 /dev/zero; head -c 1000000 /dev/zero >&2"}, Stdout: &big, Stderr: io.Discard}
	require.NoError(t, w.Run(t.Context(), "client", cmd))
	require.Equal(t, 20000000, big.Len())
}

func TestDescendantsDieWithTheProgram(t *testing.T) {
	w := up(t, routed())
	mark := filepath.Join(t.TempDir(), "alive")
	// setsid and a double fork leave the program's process group and session.
	script := fmt.Sprintf("setsid sh -c 'trap \"\" TERM HUP INT; while :; do echo x >>%s; sleep 0.02; done' >/dev/null 2>&1 & while [ ! -s %[1]s ]; do sleep 0.01; done", mark)
	run(t, w, "client", script)
	size := func() int64 {
		info, err := os.Stat(mark)
		require.NoError(t, err)
		return info.Size()
	}
	first := size()
	require.NotZero(t, first)
	time.Sleep(100 * time.Millisecond) // long enough for five more lines of a survivor
	require.Equal(t, first, size())
}

func TestCancelKillsTheWholeTree(t *testing.T) {
	w := up(t, routed())
	r, out := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	cmd := &fabric.Command{Args: []string{"sh", "-c", "trap '' TERM INT; (sleep 1000) & echo up; sleep 1000; sleep 1000"}, Stdout: out}
	go func() { done <- w.Run(ctx, "client", cmd) }()
	_, err := r.Read(make([]byte, 3))
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Equal(t, 137, cmd.ExitCode)
}

func TestCloseKillsPrograms(t *testing.T) {
	netns.Require(t)
	w, err := new(netns.Driver).Up(t.Context(), routed())
	require.NoError(t, err)
	r, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- w.Run(t.Context(), "client", &fabric.Command{Args: []string{"sh", "-c", "echo up; sleep 1000"}, Stdout: out})
	}()
	_, err = r.Read(make([]byte, 3))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.ErrorContains(t, <-done, "the network is down")
	require.ErrorContains(t, w.Run(t.Context(), "client", &fabric.Command{Args: []string{"true"}}), "the network is down")
	require.ErrorContains(t, w.Reconcile(t.Context(), routed()), "the network is down")
	require.NoError(t, w.Close())
}

// bundles are Authorities.
type bundles struct{}

func (bundles) AzurePEM() []byte { return []byte("azure\n") }
func (bundles) CorpPEM() []byte  { return []byte("corp\n") }

func TestHostsHaveTheirOwnFilesTrustAndEnvironment(t *testing.T) {
	netns.Require(t)
	t.Setenv("HTTPS_PROXY", "http://machine.example:3128")
	t.Setenv("SSL_CERT_FILE", "/machine.pem")
	t.Setenv("AZURE_CONFIG_DIR", "/machine")
	t.Setenv("NO_COLOR", "1")
	n := routed()
	client := hostOf(n, "client")
	client.Files = map[string]string{
		"/etc/resolv.conf": "nameserver 10.0.0.1\n", "/etc/hosts": "20.0.0.2 myregistry.azurecr.io\n",
		"/root/.docker/config.json": "{}", "/opt/acrlab-test/file": "deep", "/etc/systemd/system/docker.service.d/http-proxy.conf": "x",
	}
	client.TrustAzure = true
	client.Env = map[string]string{"HTTPS_PROXY": "http://proxy.corp.example:3128"}
	client.Daemon = map[string]string{"NO_PROXY": "azurecr.io"}
	hostOf(n, "server").TrustCorp = true
	w, err := (&netns.Driver{Authorities: bundles{}}).Up(t.Context(), n)
	require.NoError(t, err)
	defer w.Close()
	cat := func(host, file string) string {
		out, _, _ := run(t, w, host, "cat "+file)
		return out
	}
	require.Equal(t, "nameserver 10.0.0.1", cat("client", "/etc/resolv.conf"))
	require.Equal(t, "20.0.0.2 myregistry.azurecr.io", cat("client", "/etc/hosts"))
	require.Equal(t, "{}", cat("client", "~/.docker/config.json"))
	require.Equal(t, "deep", cat("client", "/opt/acrlab-test/file"))
	require.NotContains(t, cat("server", "/etc/resolv.conf"), "nameserver")
	require.Equal(t, "azure", cat("client", "$SSL_CERT_FILE"))
	require.NotContains(t, cat("client", "/etc/ssl/certs/*"), "CERTIFICATE", "nothing else is trusted")
	require.Equal(t, "corp", cat("server", "/etc/ssl/certs/ca-certificates.crt"))
	require.Equal(t, "azure\n", string(w.Trust("client")))
	require.NoFileExists(t, "/opt/acrlab-test/file")

	env, _, _ := run(t, w, "client", "env")
	require.Contains(t, env, "HTTPS_PROXY=http://proxy.corp.example:3128")
	require.Contains(t, env, "HOME=/root")
	require.Contains(t, env, "NO_COLOR=1")
	require.NotContains(t, env, "machine")
	require.NotContains(t, env, "ACRLAB")
	var out bytes.Buffer
	require.NoError(t, w.Run(t.Context(), "client", &fabric.Command{Args: []string{"env"}, Daemon: true, Env: map[string]string{"X": "y"}, Stdout: &out}))
	require.Contains(t, out.String(), "NO_PROXY=azurecr.io\n")
	require.Contains(t, out.String(), "X=y\n")
	require.NotContains(t, out.String(), "HTTPS_PROXY")

	// What programs write stays on their host, over runs and over a Reconcile
	// that is about something else.
	run(t, w, "client", "echo nameserver 9.9.9.9 >/etc/resolv.conf; echo hi >/root/note; echo hi >/etc/note; echo hi >/run/note")
	client.TrustCorp = true
	client.Files["/etc/hosts"] = "20.0.0.3 myregistry.azurecr.io\n"
	delete(client.Files, "/root/.docker/config.json")
	client.Env = nil
	require.NoError(t, w.Reconcile(t.Context(), n))
	require.Equal(t, "nameserver 9.9.9.9", cat("client", "/etc/resolv.conf"))
	require.Equal(t, "hi\nhi\nhi", cat("client", "/root/note /etc/note /run/note"))
	require.Equal(t, "20.0.0.3 myregistry.azurecr.io", cat("client", "/etc/hosts"))
	require.Empty(t, cat("client", "/root/.docker/config.json 2>/dev/null"))
	require.Equal(t, "azure\ncorp", cat("client", "$CURL_CA_BUNDLE"))
	require.Empty(t, cat("server", "/root/note /etc/note 2>/dev/null"))
	env, _, _ = run(t, w, "client", "env")
	require.NotContains(t, env, "PROXY")
	for _, f := range []string{"/root/note", "/etc/note", "/run/note"} {
		require.NoFileExists(t, f)
	}
}

func TestTheMachinesDaemonsAndSettingsAreOutOfReach(t *testing.T) {
	w := up(t, routed())
	out, _, _ := run(t, w, "client", "ls /run /var/run /etc/docker /var/lib/docker /var/lib/containerd 2>/dev/null | grep -v :$; ls -d /proc/[0-9]* | wc -l")
	lines := strings.Fields(out)
	require.Len(t, lines, 1, "only the number of processes: %s", out)
}

// A program may be named by a path in the caller's home directory, of which hosts
// see nothing otherwise.
func TestProgramsInTheCallersHomeRun(t *testing.T) {
	netns.Require(t)
	dir, err := os.MkdirTemp("/root", "acrlab-test-")
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("only root has files in /root; the homes of others are not covered")
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	program := dir + "/bin/program"
	require.NoError(t, os.Mkdir(dir+"/bin", 0o755))
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho ran\n"), 0o755))
	var out bytes.Buffer
	require.NoError(t, up(t, routed()).Run(t.Context(), "client", &fabric.Command{Args: []string{program}, Stdout: &out}))
	require.Equal(t, "ran\n", out.String())
}

func TestProgramsRunAtOnce(t *testing.T) {
	w := up(t, routed())
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			var out bytes.Buffer
			host := []string{"client", "server"}[i%2]
			cmd := &fabric.Command{Args: []string{"sh", "-c", fmt.Sprintf("sleep 0.02; hostname; exit %d", i)}, Stdout: &out}
			if err := w.Run(t.Context(), host, cmd); err != nil || cmd.ExitCode != i || strings.TrimSpace(out.String()) != host {
				t.Errorf("%v %d %q", err, cmd.ExitCode, out.String())
			}
		})
	}
	wg.Wait()
}

func TestFilesThatCannotBePlacedAreNamed(t *testing.T) {
	n := routed()
	hostOf(n, "client").Files = map[string]string{"/no-such-directory/file": ""}
	w := up(t, n)
	err := w.Run(t.Context(), "client", &fabric.Command{Args: []string{"true"}})
	require.ErrorContains(t, err, "/no-such-directory/file")
}
