package client

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/fabric"
)

func has(programs ...string) func(string) (string, error) {
	return func(p string) (string, error) {
		if slices.Contains(programs, p) {
			return "/usr/bin/" + p, nil
		}
		return "", exec.ErrNotFound
	}
}

func TestFindSaysWhyAnEngineIsMissing(t *testing.T) {
	missing := func(engines []Engine) map[string]string {
		out := map[string]string{}
		for _, e := range engines {
			out[e.Name] = e.Missing
		}
		return out
	}
	require.Equal(t, map[string]string{"docker": "", "containerd": "", "skopeo": ""},
		missing(find(has("docker", "dockerd", "containerd", "ctr", "skopeo"), true)))
	require.Equal(t, map[string]string{
		"docker":     "dockerd is not installed; try: sudo apt-get install docker.io",
		"containerd": "ctr is not installed; try: sudo apt-get install containerd",
		"skopeo":     "skopeo is not installed; try: sudo apt-get install skopeo",
	}, missing(find(has("containerd"), true)))
	require.Equal(t, map[string]string{
		"docker":     "dockerd needs root; try again with sudo",
		"containerd": "",
		"skopeo":     "",
	}, missing(find(has("docker", "dockerd", "containerd", "ctr", "skopeo"), false)))
}

func TestScriptsAreShell(t *testing.T) {
	for _, e := range find(func(string) (string, error) { return "", nil }, true) {
		for _, script := range []string{e.pull, e.login} {
			out, err := exec.CommandContext(t.Context(), "/bin/sh", "-n", "-c", preamble+script).CombinedOutput()
			require.NoError(t, err, "%s: %s", e.Name, out)
		}
	}
}

// fakeWorld answers Run from a function.
type fakeWorld struct {
	fabric.World
	run func(host string, cmd *fabric.Command) error
}

func (w fakeWorld) Run(_ context.Context, host string, cmd *fabric.Command) error {
	return w.run(host, cmd)
}

func TestAnEnginesAnswerIsGivenBack(t *testing.T) {
	e := find(func(string) (string, error) { return "", nil }, true)[0]
	w := fakeWorld{run: func(host string, cmd *fabric.Command) error {
		require.Equal(t, "client", host)
		require.True(t, cmd.Daemon)
		require.Equal(t, []string{"acrlab-docker", "r.azurecr.io/a:latest"}, cmd.Args[3:])
		require.Equal(t, map[string]string{"ACRLAB_USERNAME": "u", "ACRLAB_PASSWORD": "p"}, cmd.Env)
		_, _ = fmt.Fprint(cmd.Stdout, "out")
		_, _ = fmt.Fprint(cmd.Stderr, "err")
		cmd.ExitCode = 1
		return nil
	}}
	res, err := e.Pull(t.Context(), w, "client", "r.azurecr.io/a", Credentials{"u", "p"})
	require.NoError(t, err)
	require.Equal(t, Result{"out", "err", 1}, res)

	w.run = func(string, *fabric.Command) error { return errors.New("no such host") }
	_, err = e.Pull(t.Context(), w, "client", "a", Credentials{})
	require.EqualError(t, err, "running docker on client: no such host")
}

func TestCommandsThatMakeNoSenseAreRefused(t *testing.T) {
	engines := find(func(string) (string, error) { return "", nil }, true)
	for _, e := range engines {
		for _, bad := range []string{"", "-v"} {
			_, err := e.PullCommand(bad, Credentials{})
			require.ErrorContains(t, err, "is not an image")
		}
	}
	_, err := engines[0].LoginCommand("r.azurecr.io", Credentials{})
	require.EqualError(t, err, "logging in with docker: no user name is given")
	_, err = engines[1].LoginCommand("r.azurecr.io", Credentials{Username: "u"})
	require.EqualError(t, err, "logging in with containerd: it has no login command")
	gone := find(has(), true)[2]
	_, err = gone.PullCommand("a", Credentials{})
	require.EqualError(t, err, "pulling with skopeo: skopeo is not installed; try: sudo apt-get install skopeo")
}

func TestQualifyAddsTheTagThatDockerAssumes(t *testing.T) {
	for in, want := range map[string]string{
		"r.azurecr.io/a":            "r.azurecr.io/a:latest",
		"r.azurecr.io/a:1":          "r.azurecr.io/a:1",
		"r.azurecr.io:443/a":        "r.azurecr.io:443/a:latest",
		"r.azurecr.io/a@sha256:abc": "r.azurecr.io/a@sha256:abc",
	} {
		require.Equal(t, want, qualify(in))
	}
}
