package az

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// program writes a shell script that stands for az and returns a lookPath that
// finds it.
func program(t *testing.T, script string) (path string, lookPath func(string) (string, error)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "az")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	return path, func(string) (string, error) { return path, nil }
}

func nowhere(string) (string, error) { return "", errors.New("not found") }

// sealed makes a folder that looks like a whole installation.
func sealed(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "azure-cli")
	require.NoError(t, install(t.Context(), dir, func(_ context.Context, dir string, _ io.Writer) error {
		return os.MkdirAll(filepath.Join(dir, "bin"), 0o755)
	}, io.Discard))
	return dir
}

func TestAnAZInPATHIsUsedIfItIsNewEnough(t *testing.T) {
	for name, c := range map[string]struct{ script, version, reason string }{
		"new":              {`echo '{"azure-cli": "2.91.0"}'`, "2.91.0", ""},
		"just new enough":  {`echo '{"azure-cli": "2.50.0"}'`, "2.50.0", ""},
		"a later major":    {`echo '{"azure-cli": "3.0.0b1"}'`, "3.0.0b1", ""},
		"Debian 12's":      {`echo '{"azure-cli": "2.45.0"}'`, "", "is version 2.45.0, older than 2.50.0"},
		"broken":           {`echo 'No module named azure' >&2; exit 1`, "", "does not tell its version: exit status 1: No module named azure"},
		"not az":           {`echo '{}'`, "", `it says ""`},
		"prints prose":     {`echo hello`, "", `reading what "az version" prints`},
		"version nonsense": {`echo '{"azure-cli": "2.x.1"}'`, "", `it says "2.x.1"`},
	} {
		t.Run(name, func(t *testing.T) {
			path, lookPath := program(t, c.script)
			cli, err := find(t.Context(), lookPath, t.TempDir())
			if c.reason != "" {
				missing, ok := errors.AsType[*Missing](err)
				require.True(t, ok, "%v", err)
				require.Contains(t, missing.Reason, c.reason)
				require.Contains(t, missing.Error(), InstallCommand)
				return
			}
			require.NoError(t, err)
			require.Equal(t, path, cli.Path)
			require.Equal(t, c.version, cli.Version)
		})
	}
}

// Asking for a version neither reads nor writes the user's sign-in.
func TestTheUsersConfigurationIsLeftAlone(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen")
	t.Setenv("AZURE_CONFIG_DIR", "/the/users/own")
	_, lookPath := program(t, `echo "$AZURE_CONFIG_DIR" > `+seen+`; touch "$AZURE_CONFIG_DIR/x"; echo '{"azure-cli": "2.91.0"}'`)
	_, err := find(t.Context(), lookPath, t.TempDir())
	require.NoError(t, err)
	raw, err := os.ReadFile(seen)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "/the/users/own")
	require.NoDirExists(t, string(raw[:len(raw)-1]), "the folder of its own is left behind")
}

func TestTheInstalledAZIsUsedWhereThatInPATHCannotBe(t *testing.T) {
	dir := sealed(t)
	_, old := program(t, `echo '{"azure-cli": "2.45.0"}'`)
	for name, lookPath := range map[string]func(string) (string, error){"none in PATH": nowhere, "an old one in PATH": old} {
		t.Run(name, func(t *testing.T) {
			cli, err := find(t.Context(), lookPath, dir)
			require.NoError(t, err)
			require.Equal(t, filepath.Join(dir, "bin", "az"), cli.Path)
			require.Equal(t, Pinned, cli.Version)
		})
	}
}

// A host must be shown the Python behind a virtual environment as well.
func TestTheInterpreterIsAmongTheNeeds(t *testing.T) {
	dir := sealed(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pyvenv.cfg"), []byte("version = 3.11.7\nhome = /opt/python/bin\n"), 0o644))
	cli, err := find(t.Context(), nowhere, dir)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"/opt/python/bin", dir}, cli.needs)
}

func TestAnInterruptedInstallationIsNotTakenForAWholeOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "azure-cli")
	for name, half := range map[string]func(){
		"no seal":           func() {},
		"an empty seal":     func() { require.NoError(t, os.WriteFile(filepath.Join(dir, seal), nil, 0o644)) },
		"another version's": func() { require.NoError(t, os.WriteFile(filepath.Join(dir, seal), []byte("1.0.0\n"), 0o644)) },
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "bin", "az"), []byte("half"), 0o755))
			half()
			_, err := find(t.Context(), nowhere, dir)
			_, missing := errors.AsType[*Missing](err)
			require.True(t, missing, "%v", err)
			require.NoError(t, install(t.Context(), dir, func(_ context.Context, dir string, _ io.Writer) error {
				require.NoFileExists(t, filepath.Join(dir, "bin", "az"), "the next installation builds on the half one")
				return os.MkdirAll(dir, 0o755)
			}, io.Discard))
			require.True(t, whole(dir))
		})
	}
}

func TestAFailedInstallationLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "azure-cli")
	err := install(t.Context(), dir, func(_ context.Context, dir string, _ io.Writer) error {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "lib"), 0o755))
		return errors.New("no space left")
	}, io.Discard)
	require.ErrorContains(t, err, "no space left")
	require.NoDirExists(t, dir)
}

func TestOfInstallationsAtOnceOneDoesTheWork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "azure-cli")
	var fills, now atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			err := install(t.Context(), dir, func(_ context.Context, dir string, _ io.Writer) error {
				if now.Add(1) != 1 {
					return errors.New("two at once")
				}
				defer now.Add(-1)
				fills.Add(1)
				return os.MkdirAll(dir, 0o755)
			}, io.Discard)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, fills.Load())
}

func TestWaitingForAnotherInstallationCanBeGivenUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "azure-cli")
	unlock, err := lock(t.Context(), dir+".lock")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = install(ctx, dir, nil, io.Discard)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "waiting for another installation")
	require.NoError(t, unlock())
}

func TestCommandsOfMissingExtensionsAreKnownBeforehand(t *testing.T) {
	cli := &CLI{Path: "/opt/az", extensions: t.TempDir()}
	const command = "az network firewall policy list"
	require.NoError(t, cli.Can("az network vnet list"))
	require.ErrorContains(t, cli.Can(command), `"az network firewall" needs the extension azure-firewall`)
	require.NoError(t, os.Mkdir(filepath.Join(cli.extensions, "azure-firewall"), 0o755))
	require.NoError(t, cli.Can(command))
}

func TestTheMessageOfAResultIsWhatAZSays(t *testing.T) {
	for name, c := range map[string]struct {
		result Result
		want   string
	}{
		"an error among warnings": {Result{Stderr: "WARNING: old\nERROR: (NotFound) gone\nCode: NotFound\nMessage: gone\nhint\n"}, "ERROR: (NotFound) gone | Code: NotFound | Message: gone"},
		"no error line":           {Result{Stderr: "killed\n"}, "killed"},
		"stdout alone":            {Result{Stdout: "false\n"}, "false"},
		"nothing":                 {Result{}, ""},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, c.result.Message()) })
	}
}
