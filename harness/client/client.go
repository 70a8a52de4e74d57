// Package client holds the clients that scenarios pull with: one of our own
// that is always there, and the container engines that a machine happens to
// have. It must not know what network it runs in: like any client, it only sees
// names, answers and silence.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Options of a pull. The zero value is useful.
type Options struct {
	// Timeout bounds the whole pull; 0 means 8 seconds.
	Timeout time.Duration
	// Keychain finds credentials; nil means Docker's configuration file, from
	// DOCKER_CONFIG or the home directory.
	Keychain authn.Keychain
	// Transport replaces the network; nil means the machine's own, through the
	// proxies of HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
	Transport http.RoundTripper
}

// Blob is a config or layer that was read to its last byte. Size is in bytes,
// as transferred.
type Blob struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// Pulled is an image that was pulled and checked against its digests.
type Pulled struct {
	Digest string `json:"digest"` // of the manifest
	Config Blob   `json:"config"`
	Layers []Blob `json:"layers"`
}

const (
	defaultTimeout = 8 * time.Second
	connectTimeout = 3 * time.Second
	userAgent      = "acrlab-pull"
)

// Pull reads manifest, config and every layer of an image and checks digests
// and sizes. It tries nothing twice, so its error is what the network said
// first, in the words of Go's own libraries: "dial tcp 192.0.2.1:443: i/o
// timeout", "proxyconnect tcp: EOF", "DENIED: client with IP …".
func Pull(ctx context.Context, image string, o Options) error {
	_, err := Fetch(ctx, image, o)
	return err
}

// Fetch is [Pull] that tells what was read. Of a multi-platform image it takes
// linux/amd64.
func Fetch(ctx context.Context, image string, o Options) (Pulled, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return Pulled{}, fmt.Errorf("pulling %s: %w", image, err)
	}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	transport := o.Transport
	if transport == nil {
		t := newTransport()
		defer t.CloseIdleConnections()
		transport = t
	}
	keychain := o.Keychain
	if keychain == nil {
		keychain = authn.DefaultKeychain
	}
	p, err := fetch(ref, []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(transport), remote.WithAuthFromKeychain(keychain),
		remote.WithUserAgent(userAgent), remote.WithJobs(1), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"}),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryStatusCodes(),
	})
	if err != nil {
		return p, fmt.Errorf("pulling %s: %w", image, redact(err))
	}
	return p, nil
}

func fetch(ref name.Reference, opts []remote.Option) (Pulled, error) {
	var p Pulled
	desc, err := remote.Get(ref, opts...)
	if err != nil {
		return p, fmt.Errorf("reading the manifest: %w", err)
	}
	p.Digest = desc.Digest.String()
	img, err := desc.Image()
	if err != nil {
		return p, fmt.Errorf("reading the manifest: %w", err)
	}
	m, err := img.Manifest()
	if err != nil {
		return p, fmt.Errorf("reading the manifest: %w", err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return p, fmt.Errorf("reading the config: %w", err)
	}
	p.Config = Blob{Digest: m.Config.Digest.String(), Size: int64(len(config))}
	layers, err := img.Layers()
	if err != nil {
		return p, fmt.Errorf("reading the list of layers: %w", err)
	}
	for i, l := range layers {
		b, err := readLayer(l)
		if err != nil {
			return p, fmt.Errorf("reading layer %d of %d: %w", i+1, len(layers), err)
		}
		p.Layers = append(p.Layers, b)
	}
	return p, nil
}

// readLayer reads a layer to its end; remote compares digest and size there.
func readLayer(l v1.Layer) (b Blob, err error) {
	d, err := l.Digest()
	if err != nil {
		return Blob{}, fmt.Errorf("finding its digest: %w", err)
	}
	r, err := l.Compressed()
	if err != nil {
		return Blob{}, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		return Blob{}, fmt.Errorf("after %d bytes of %s: %w", n, d, err)
	}
	return Blob{Digest: d.String(), Size: n}, nil
}

// newTransport bounds what waits for a peer, since a silent path is what most
// scenarios are about.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ForceAttemptHTTP2:     true,
		ExpectContinueTimeout: time.Second,
	}
}
