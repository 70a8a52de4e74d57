package az

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// directory is where the pinned version lives: outside any checkout, and of
// the user.
func directory() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache for the Azure CLI: %w", err)
	}
	return filepath.Join(cache, "acrlab", "azure-cli-"+Pinned), nil
}

// seal is written last, so that an interrupted installation is never taken for
// a whole one.
const seal = "acrlab-installed"

func whole(dir string) bool {
	raw, err := os.ReadFile(filepath.Join(dir, seal))
	return err == nil && strings.TrimSpace(string(raw)) == Pinned
}

// Install puts the pinned version into a virtual environment of Python in the
// user's cache, unless it is there, and returns it. What the installers print
// goes to progress. Of several installations at once one does the work and the
// others wait.
func Install(ctx context.Context, progress io.Writer) (*CLI, error) {
	dir, err := directory()
	if err != nil {
		return nil, err
	}
	if err := install(ctx, dir, pipInto, progress); err != nil {
		return nil, fmt.Errorf("installing the Azure CLI %s: %w", Pinned, err)
	}
	return installed(dir), nil
}

// install makes dir whole by calling fill on it.
func install(ctx context.Context, dir string, fill func(ctx context.Context, dir string, progress io.Writer) error, progress io.Writer) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if whole(dir) {
		return nil
	}
	// A virtual environment cannot be moved once it is made: its scripts name
	// their interpreter by its path. So it is made in place, and sealed.
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing what an interrupted installation left: %w", err)
	}
	if err := fill(ctx, dir, progress); err != nil {
		if gone := os.RemoveAll(dir); gone != nil {
			return errors.Join(err, fmt.Errorf("removing the half installation: %w", gone))
		}
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, seal), []byte(Pinned+"\n"), 0o644); err != nil {
		return fmt.Errorf("sealing the installation: %w", err)
	}
	return nil
}

// pipInto makes the virtual environment. pip compiles every module as it
// installs it, so that no host has to.
func pipInto(ctx context.Context, dir string, progress io.Writer) error {
	python, err := exec.LookPath("python3")
	if err != nil {
		return errors.New("python3 (3.10 or newer, with venv) is not in PATH; on Debian and Ubuntu: sudo apt-get install python3-venv")
	}
	for _, step := range [][]string{
		{python, "-m", "venv", dir},
		{filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--compile", "azure-cli==" + Pinned},
		{filepath.Join(dir, "bin", "az"), "version", "--output", "none"},
	} {
		cmd := exec.CommandContext(ctx, step[0], step[1:]...)
		cmd.Stdout, cmd.Stderr = progress, progress
		cmd.Env = append(os.Environ(), "AZURE_CONFIG_DIR="+filepath.Join(dir, "config"), "AZURE_CORE_COLLECT_TELEMETRY=0")
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(step, " "), err)
		}
	}
	return nil
}
