package host

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Local is the machine, and the network namespace, that this process runs in.
func Local() Host { return local{} }

// Process is the place of another process: its root file system and its
// environment. Sockets are still this process' own, so call [EnterNamespace]
// first. A pid of 0 gives [Local].
func Process(pid int) (Host, error) {
	if pid == 0 {
		return Local(), nil
	}
	if pid < 0 {
		return nil, fmt.Errorf("process %d: a process id is positive", pid)
	}
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return nil, fmt.Errorf("reading the environment of process %d: %w", pid, err)
	}
	l := local{root: filepath.Join("/proc", strconv.Itoa(pid), "root"), environ: []string{}}
	for kv := range strings.SplitSeq(string(environ), "\x00") {
		if kv != "" {
			l.environ = append(l.environ, kv)
		}
	}
	return l, nil
}

// local reads files below root and has the given environment; the zero value
// is this process' own place.
type local struct {
	root    string
	environ []string
}

func (l local) Connect(ctx context.Context, to netip.AddrPort, o ConnectOptions) (net.Conn, Connection) {
	return connect(ctx, to, o)
}

func (l local) DialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "udp", to.String())
}

func (l local) ReadFile(path string) ([]byte, error) {
	f, err := l.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxFile))
}

func (l local) open(path string) (*os.File, error) {
	// /proc/<pid> and /proc/self are read as they are here: the other place's
	// own /proc may show another process id space.
	if l.root == "" || strings.HasPrefix(path, "/proc/") {
		return openRegular(path)
	}
	return openInRoot(l.root, path)
}

func (l local) Glob(pattern string) ([]string, error) {
	if l.root == "" || strings.HasPrefix(pattern, "/proc/") {
		return filepath.Glob(pattern)
	}
	found, err := filepath.Glob(l.root + pattern)
	for i := range found {
		found[i] = strings.TrimPrefix(found[i], l.root)
	}
	return found, err
}

func (l local) Readlink(path string) (string, error) {
	if l.root == "" || strings.HasPrefix(path, "/proc/") {
		return os.Readlink(path)
	}
	return os.Readlink(l.root + path)
}

func (l local) Environ() []string {
	if l.environ == nil {
		return os.Environ()
	}
	return l.environ
}

func (l local) Run(ctx context.Context, argv ...string) ([]byte, error) {
	if len(argv) == 0 {
		return nil, errors.New("running a program: no program named")
	}
	if l.root != "" {
		return nil, fmt.Errorf("running %s: not possible in the place of another process", argv[0])
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// A child of the program that keeps standard output open must not hold us.
	cmd.WaitDelay = 100 * time.Millisecond
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("running %s: %w", argv[0], err)
	}
	return out, nil
}

func (l local) Now() time.Time { return time.Now() }

// Roots implements [Host]. For another process the bundle is read from its
// file system, at the places where crypto/x509 looks on Linux.
func (l local) Roots() (*x509.CertPool, error) {
	if l.root == "" {
		return nil, nil
	}
	files := []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
	}
	for _, kv := range l.environ {
		if v, ok := strings.CutPrefix(kv, "SSL_CERT_FILE="); ok && v != "" {
			files = []string{v}
		}
	}
	pool := x509.NewCertPool()
	for _, f := range files {
		pem, err := l.ReadFile(f)
		if err != nil {
			continue
		}
		if pool.AppendCertsFromPEM(pem) {
			return pool, nil
		}
	}
	return pool, fmt.Errorf("no certificate authorities found in %s below %s", strings.Join(files, ", "), l.root)
}
