//go:build linux

package netns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/harness/plan"
)

// withDefaults adds the files without which a host would show the machine's.
func withDefaults(host string, files map[string]string) map[string]string {
	out := map[string]string{
		"/etc/hosts":         "127.0.0.1 localhost\n127.0.1.1 " + host + "\n",
		"/etc/resolv.conf":   "# this host has no resolver\n",
		"/etc/hostname":      host + "\n",
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n",
	}
	maps.Copy(out, files)
	return out
}

// write makes a regular file, with its directories.
func (f *fileSystem) write(path, content string) error {
	return f.change(path, func() error { return replaceFile(path, content) })
}

// replaceFile replaces a symbolic link, as /etc/resolv.conf often is, and does
// not follow it.
func replaceFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making the directory of %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replacing %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (f *fileSystem) remove(path string) error {
	return f.change(path, func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing %s: %w", path, err)
		}
		return nil
	})
}

// change does something to a path that must not reach the machine's own file.
// Directories below /etc belong to the machine's root, who in a user namespace
// is somebody else: if one refuses, it is covered by one that is the user's.
func (f *fileSystem) change(path string, do func() error) error {
	if !f.isWritable(path) {
		if err := f.coverParent(path); err != nil {
			return err
		}
	}
	err := do()
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err := f.coverParent(path); err != nil {
		return err
	}
	return do()
}

func (f *fileSystem) isWritable(path string) bool {
	return slices.ContainsFunc(f.writable, func(dir string) bool { return strings.HasPrefix(path, dir+"/") })
}

// coverParent covers the nearest existing directory above a path.
func (f *fileSystem) coverParent(path string) error {
	dir := filepath.Dir(path)
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() || dir == "/" {
			break
		}
		dir = filepath.Dir(dir)
	}
	if dir == "/" {
		return fmt.Errorf("file %s: no directory on the way to it exists, and / itself cannot be changed", path)
	}
	target, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("file %s: %w", path, err)
	}
	if err := f.cover(target); err != nil {
		return fmt.Errorf("file %s: %w", path, err)
	}
	f.writable = append(f.writable, dir)
	return nil
}

// bundlePath is where the host's trust store is, whatever the distribution.
const bundlePath = "/etc/ssl/certs/ca-certificates.crt"

// Trust stores of distributions (crypto/x509, root_linux.go).
var (
	bundleDirs = []string{"/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted/pem"}
	bundleIn   = []string{"ca-certificates.crt", "ca-bundle.crt", "tls-ca-bundle.pem"}
	bundleAt   = []string{"/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem", "/etc/pki/tls/cert.pem"}
)

// trust makes bundle the only certificates that the host's clients trust. The
// directories are replaced as a whole: they also hold certificates one by one.
func (f *fileSystem) trust(bundle []byte) error {
	first := false
	if _, err := os.Stat(f.staged("trust")); errors.Is(err, fs.ErrNotExist) {
		first = true
	}
	if err := os.MkdirAll(f.staged("trust"), 0o755); err != nil {
		return fmt.Errorf("making the trust store: %w", err)
	}
	for _, name := range bundleIn {
		if err := os.WriteFile(f.staged("trust/"+name), bundle, 0o644); err != nil {
			return fmt.Errorf("writing the trust store: %w", err)
		}
	}
	if first {
		if err := os.MkdirAll("/etc/ssl/certs", 0o755); err != nil {
			return fmt.Errorf("making the trust store: %w", err)
		}
		for _, dir := range bundleDirs {
			if _, err := os.Stat(dir); err != nil {
				continue
			}
			if err := f.bind("trust", dir); err != nil {
				return err
			}
		}
	}
	for _, file := range bundleAt {
		if _, err := os.Lstat(file); err != nil {
			continue
		}
		if err := f.write(file, string(bundle)); err != nil {
			return err
		}
	}
	return nil
}

// reconcileFiles brings files, trust and environment of a host up to date. A
// file that the plan did not change is left as programs have made it.
func (w *world) reconcileFiles(h *host, p *plan.Host) error {
	trust := w.bundle(p)
	h.keeperMu.Lock()
	k := h.keeper
	h.keeperMu.Unlock()
	if k != nil {
		if err := k.do(func() error { return k.files.update(h, p, trust) }); err != nil {
			return err
		}
	}
	h.trust = trust
	h.have.Files = maps.Clone(p.Files)
	h.have.TrustAzure, h.have.TrustCorp = p.TrustAzure, p.TrustCorp
	h.have.Env, h.have.Daemon = maps.Clone(p.Env), maps.Clone(p.Daemon)
	return nil
}

func (f *fileSystem) update(h *host, p *plan.Host, trust []byte) error {
	if !bytes.Equal(trust, h.trust) {
		if err := f.trust(trust); err != nil {
			return err
		}
	}
	have, want := withDefaults(h.name, h.have.Files), withDefaults(p.Name, p.Files)
	for _, path := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[path]; !ok {
			if err := f.remove(path); err != nil {
				return err
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if old, ok := have[path]; ok && old == want[path] {
			continue
		}
		if err := f.write(path, want[path]); err != nil {
			return err
		}
	}
	return nil
}

// bundle is the PEM that a host's clients trust.
func (w *world) bundle(p *plan.Host) []byte {
	var b []byte
	if w.driver.Authorities == nil {
		return nil
	}
	if p.TrustAzure {
		b = append(b, w.driver.Authorities.AzurePEM()...)
	}
	if p.TrustCorp {
		b = append(b, w.driver.Authorities.CorpPEM()...)
	}
	return b
}
