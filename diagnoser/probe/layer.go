package probe

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// chooseBlob takes the smallest of the configuration and the layers that the
// registry itself holds.
func (m manifest) chooseBlob() (descriptor, bool) {
	all := m.Layers
	if m.Config != nil {
		all = append([]descriptor{*m.Config}, all...)
	}
	var best descriptor
	for _, d := range all {
		if len(d.URLs) > 0 || !digestName.MatchString(d.Digest) || d.Size <= 0 {
			continue // foreign layers lie elsewhere
		}
		if best.Digest == "" || d.Size < best.Size {
			best = d
		}
	}
	return best, best.Digest != ""
}

// fetchBlob reads one blob to the last byte, through the redirect to the data
// endpoint or storage account. The Authorization header stays with the login
// server: storage refuses a request that has one beside its signature.
func (s *session) fetchBlob(ctx context.Context, img *image) *Blob {
	d, ok := img.manifest.chooseBlob()
	if !ok {
		s.r.omit("layer", "the manifest names no blob that the registry holds")
		return nil
	}
	if d.Size > s.r.o.MaxBlob {
		s.r.omit("layer", fmt.Sprintf("the smallest blob has %d bytes, more than the %d that are read", d.Size, s.r.o.MaxBlob))
		return nil
	}
	b := &Blob{Digest: d.Digest}
	sum := newSum(d)
	a := s.get(ctx, "/v2/"+img.repository+"/blobs/"+d.Digest, img.token, request{limit: d.Size, sink: sum})
	b.Redirect = a.HTTP
	switch {
	case a.Status == http.StatusOK:
		b.OK, b.Err = sum.check(a)
		return b
	case a.Status/100 != 3:
		b.Err = a.Err
		if b.Err == "" {
			b.Err = fmt.Sprintf("the login server answered %d instead of redirecting", a.Status)
		}
		return b
	}
	to, err := parseLocation(a.header.Get("Location"))
	if err != nil {
		b.Err = err.Error()
		return b
	}
	b.Host = plain(to.Hostname())
	s.r.followBlob(ctx, b, to, d)
	return b
}

// parseLocation accepts an absolute https URL. An error does not repeat the
// value, which holds a signature.
func parseLocation(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return nil, fmt.Errorf("the redirect has no Location")
	case err != nil:
		return nil, fmt.Errorf("the redirect's Location is no URL")
	case u.Scheme != "https" || u.Hostname() == "":
		return nil, fmt.Errorf("the redirect leads to %s, not to an https URL", redactURL(u))
	case u.Port() != "" && u.Port() != "443":
		return nil, fmt.Errorf("the redirect leads to port %s of %s, not to 443", u.Port(), u.Hostname())
	}
	return u, nil
}

// followBlob downloads by the shell's way, trying one address after the other.
// The other ways are probed without a signature at the same time.
func (r *run) followBlob(ctx context.Context, b *Blob, to *url.URL, d descriptor) {
	ep := endpoint{host: b.Host, role: roleOf(b.Host), get: "/", everywhere: true}
	ways := r.ways(b.Host)
	r.dataWays(ep, ways[1:])

	download := func(addr netip.Addr, kind ResolverKind) bool {
		ep := ep
		sum := newSum(d)
		ep.fetch = func(ctx context.Context, c *client) *answered {
			a := r.exchange(ctx, c, request{method: "GET", url: to.String(), limit: d.Size, sink: sum})
			b.OK, b.Err = sum.check(a)
			return a
		}
		b.OK, b.Err = false, ""
		at := r.walk(ctx, ep, ways[0], addr, kind)
		at.close()
		r.addPath(at.path)
		b.Path = at.path
		if at.head == nil {
			b.Err = stageError(*at.path).Error()
		}
		return b.OK
	}
	if ways[0].via != Direct {
		download(netip.Addr{}, "")
		return
	}
	found, attempts := r.direct(ctx, ep, ways[0])
	if attempts != nil {
		b.Path, b.Err = attempts.path, attempts.path.TCP.Err
		r.addPath(attempts.path)
		return
	}
	for _, a := range found.Addrs {
		if download(a, found.Kind) {
			return
		}
	}
}

func roleOf(host string) EndpointRole {
	if strings.Contains(host, ".blob.") {
		return RoleStorage
	}
	return RoleData
}

// sum checks a blob as it is read.
type sum struct {
	hash.Hash
	want descriptor
	n    int64
}

func newSum(d descriptor) *sum {
	s := &sum{want: d, Hash: sha256.New()}
	if strings.HasPrefix(d.Digest, "sha512:") {
		s.Hash = sha512.New()
	}
	return s
}

func (s *sum) Write(b []byte) (int, error) {
	s.n += int64(len(b))
	return s.Hash.Write(b)
}

func (s *sum) check(a *answered) (bool, string) {
	algorithm, want, _ := strings.Cut(s.want.Digest, ":")
	switch {
	case a.Err != "":
		return false, a.Err
	case a.Status != http.StatusOK:
		return false, fmt.Sprintf("%s answered %d instead of the blob", a.URL, a.Status)
	case s.n != s.want.Size:
		return false, fmt.Sprintf("%d bytes came, the manifest says %d", s.n, s.want.Size)
	case algorithm != "sha256" && algorithm != "sha512":
		return true, ""
	}
	if got := hex.EncodeToString(s.Sum(nil)); got != want {
		return false, fmt.Sprintf("the bytes have the digest %s:%s", algorithm, got)
	}
	return true, ""
}
