// Package conformance builds and runs the conformance suite of the OCI
// distribution specification. It knows how to start the suite and how to read
// its results; what registry it runs against is the caller's business.
//
// It is meant for tests: building needs the go command and the Go module proxy
// or a filled module cache.
package conformance

import (
	"context"
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	module = "github.com/opencontainers/distribution-spec/conformance"
	// version is commit 97274622c111 of 2026-08-31.
	version = "v0.0.0-20260831232431-97274622c111"
)

// Config is the suite's configuration for Azure Container Registry: what the
// service does not offer is switched off there, by name and with the reason.
// Address and credentials come from the environment (OCI_REGISTRY, OCI_USERNAME,
// OCI_PASSWORD, OCI_RESULTS_DIR).
//
//go:embed oci-conformance.yaml
var Config []byte

// Command is what builds the suite by hand.
const Command = "go install " + module + "@" + version

// Build returns the path of the suite's program and builds it first where it is
// not in the user's cache folder yet.
func Build(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("building the conformance suite: %w", err)
	}
	dir := filepath.Join(cache, "acrlab", "conformance", version)
	path := filepath.Join(dir, "conformance")
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return path, nil
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("building the conformance suite: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("building the conformance suite: %w", err)
	}
	// Built beside and moved in, so that two test runs do not meet halfway.
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "build-")
	if err != nil {
		return "", fmt.Errorf("building the conformance suite: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	cmd := exec.CommandContext(ctx, goTool, "install", module+"@"+version)
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "GOBIN="+tmp, "CGO_ENABLED=0", "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the conformance suite: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("building the conformance suite: %w", err)
	}
	if err := os.Rename(filepath.Join(tmp, "conformance"), path); err != nil {
		return "", fmt.Errorf("building the conformance suite: %w", err)
	}
	return path, nil
}

// Results count the suite's tests. Failures are "test: what was wrong".
type Results struct {
	Tests    int
	Skipped  int
	Disabled int
	Failures []string
}

// ReadResults reads junit.xml from the suite's results folder.
func ReadResults(dir string) (Results, error) {
	b, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		return Results{}, fmt.Errorf("reading the conformance results: %w", err)
	}
	var doc struct {
		Suites []struct {
			Disabled int `xml:"disabled,attr"`
			Cases    []struct {
				Name    string    `xml:"name,attr"`
				Status  string    `xml:"status,attr"`
				Skipped *struct{} `xml:"skipped"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
				Error *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &doc); err != nil {
		return Results{}, fmt.Errorf("reading the conformance results: %w", err)
	}
	var r Results
	for _, s := range doc.Suites {
		r.Disabled += s.Disabled
		for _, c := range s.Cases {
			r.Tests++
			switch {
			case c.Failure != nil:
				r.Failures = append(r.Failures, c.Name+": "+strings.TrimSpace(c.Failure.Message+" "+c.Failure.Text))
			case c.Error != nil:
				r.Failures = append(r.Failures, c.Name+": "+strings.TrimSpace(c.Error.Message+" "+c.Error.Text))
			case c.Skipped != nil:
				r.Skipped++
			}
		}
	}
	if r.Tests == 0 {
		return r, errors.New("reading the conformance results: no test ran")
	}
	return r, nil
}
