// Package az finds the Azure CLI, installs it when asked to, and runs it on a
// host of a network: unmodified, one process a command, as users run it.
//
// It knows the tool and how hosts run programs; it does not know scenarios,
// diagnoses or what an Azure resource means.
package az

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Pinned is the version that [Install] installs: the newest in 2026-11.
const Pinned = "2.91.0"

// minimum is the oldest version of an az in PATH that is used. The commands
// under "az network" are generated anew since 2.50, and the package of Debian
// 12 (2.45) fails on every one of them before it sends a request, for want of
// modules that it leaves out.
var minimum = [3]int{2, 50, 0}

// CLI is an Azure CLI that can be used here.
type CLI struct {
	// Path of the program "az".
	Path string
	// Version is what the program says, or what was installed.
	Version string
	// needs are directories that a host must show so that the program runs.
	needs []string
	// extensions is the folder of the program's extensions, if known.
	extensions string
}

// Missing says why there is no usable Azure CLI and what mends that.
type Missing struct {
	Reason  string
	Command string
}

func (m *Missing) Error() string { return m.Reason + "; try: " + m.Command }

// InstallCommand is what a person runs to have the pinned version installed.
const InstallCommand = "acrlab install az (make az in a checkout)"

// Find looks for az in PATH and then for the one that [Install] put into the
// user's cache. Where neither can be used the error is a [*Missing].
func Find(ctx context.Context) (*CLI, error) {
	dir, err := directory()
	if err != nil {
		return nil, err
	}
	return find(ctx, exec.LookPath, dir)
}

func find(ctx context.Context, lookPath func(string) (string, error), dir string) (*CLI, error) {
	reason := "az is not in PATH"
	if path, err := lookPath("az"); err == nil {
		version, err := askVersion(ctx, path)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("asking %s for its version: %w", path, ctx.Err())
		case err != nil:
			reason = fmt.Sprintf("%s does not tell its version: %s", path, err)
		case older(version, minimum):
			reason = fmt.Sprintf("%s is version %s, older than %d.%d.%d, before which \"az network\" commands are another program",
				path, version, minimum[0], minimum[1], minimum[2])
		default:
			real, err := filepath.EvalSymlinks(path)
			if err != nil {
				return nil, fmt.Errorf("following %s: %w", path, err)
			}
			return &CLI{Path: path, Version: version, needs: append(pythonOf(filepath.Dir(filepath.Dir(real))), real),
				extensions: userExtensions()}, nil
		}
	}
	if !whole(dir) {
		return nil, &Missing{Reason: reason + ", and version " + Pinned + " is not installed in " + dir, Command: InstallCommand}
	}
	return installed(dir), nil
}

// installed is the CLI of a whole virtual environment.
func installed(dir string) *CLI {
	return &CLI{Path: filepath.Join(dir, "bin", "az"), Version: Pinned, needs: append(pythonOf(dir), dir),
		extensions: filepath.Join(dir, "extensions")}
}

// pythonOf is the directory of the Python that a virtual environment was made
// with (pyvenv.cfg, https://docs.python.org/3/library/venv.html); none for
// what is no virtual environment.
func pythonOf(venv string) []string {
	raw, err := os.ReadFile(filepath.Join(venv, "pyvenv.cfg"))
	if err != nil {
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok && strings.TrimSpace(key) == "home" {
			return []string{strings.TrimSpace(value)}
		}
	}
	return nil
}

// userExtensions is where an az in PATH keeps its extensions.
func userExtensions() string {
	if dir := os.Getenv("AZURE_EXTENSION_DIR"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".azure", "cliextensions")
}

// versionTimeout bounds a start on a busy machine.
const versionTimeout = 60 * time.Second

// askVersion runs "az version", which asks nobody, with a configuration of its
// own so that the user's is neither read nor written.
func askVersion(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	config, err := os.MkdirTemp("", "acrlab-az-")
	if err != nil {
		return "", fmt.Errorf("making a folder for its configuration: %w", err)
	}
	defer os.RemoveAll(config)
	cmd := exec.CommandContext(ctx, path, "version", "--output", "json")
	cmd.Env = append(os.Environ(), "AZURE_CONFIG_DIR="+config, "AZURE_CORE_COLLECT_TELEMETRY=0")
	cmd.WaitDelay = time.Second // a child may hold the output
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("%w: %s", err, lastLine(exit.Stderr))
	}
	if err != nil {
		return "", err
	}
	var v map[string]any
	if err := json.Unmarshal(out, &v); err != nil {
		return "", fmt.Errorf("reading what \"az version\" prints: %w", err)
	}
	version, _ := v["azure-cli"].(string)
	if _, ok := numbers(version); !ok {
		return "", fmt.Errorf("it says %q", version)
	}
	return version, nil
}

func numbers(version string) (n [3]int, ok bool) {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) != 3 {
		return n, false
	}
	for i, p := range parts {
		p = p[:len(p)-len(strings.TrimLeft(p, "0123456789"))] // "0b1", "0.post1"
		v, err := strconv.Atoi(p)
		if err != nil {
			return n, false
		}
		n[i] = v
	}
	return n, true
}

func older(version string, than [3]int) bool {
	n, ok := numbers(version)
	for i := range n {
		if n[i] != than[i] {
			return !ok || n[i] < than[i]
		}
	}
	return !ok
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
