package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Links to blobs are shared access signatures of Azure Storage in the version
// that was seen in the service's redirects (docs/fidelity.md, blob download).
// The key differs from storage's, so only this registry's fronts accept them.
const (
	sasVersion = "2018-03-28"
	// sasLife: "valid for 20 to 30 minutes",
	// https://learn.microsoft.com/azure/container-registry/container-registry-dedicated-data-endpoints
	sasLife = 20 * time.Minute
)

// container is the name of the registry's blob container: twelve hexadecimal
// digits, a hyphen and ten more (an assumption), the same in every run.
func (c *Config) container() string {
	sum := sha256.Sum256([]byte("container of " + c.LoginServer))
	h := hex.EncodeToString(sum[:])
	return h[:12] + "-" + h[12:22]
}

// blobURL is where a blob may be read for a while: the data endpoint or the
// storage account of the region that served the request. A redirect never
// leaves the region.
func (r *Registry) blobURL(cfg *Config, region string, d digest) string {
	g := cfg.region(region)
	host, sep := g.Storage, "/"
	if cfg.DataEndpoints {
		host, sep = cfg.dataEndpoint(g.Name), "//"
	}
	path := "/" + cfg.container() + sep + blobPath(d)
	q := url.Values{
		"se": {r.now().Add(sasLife).UTC().Format(time.RFC3339)}, "sp": {"r"}, "spr": {"https"},
		"sr": {"b"}, "sv": {sasVersion}, "regid": {r.signer.rid},
	}
	q.Set("sig", r.sasSignature(host, path, q))
	return "https://" + host + path + "?" + q.Encode()
}

func blobPath(d digest) string {
	return "docker/registry/v2/blobs/" + d.algorithm() + "/" + d.hex()[:2] + "/" + d.hex() + "/data"
}

// parseBlobPath is the reverse of [Registry.blobURL]'s path.
func parseBlobPath(path string) (digest, error) {
	_, rest, ok := strings.Cut(path, "/docker/registry/v2/blobs/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 4 || parts[3] != "data" {
		return "", fmt.Errorf("%q is not the path of a blob", path)
	}
	d, err := parseDigest(parts[0] + ":" + parts[2])
	if err != nil {
		return "", err
	}
	if parts[1] != d.hex()[:2] {
		return "", fmt.Errorf("%q is not the path of a blob", path)
	}
	return d, nil
}

func (r *Registry) sasSignature(host, path string, q url.Values) string {
	mac := hmac.New(sha256.New, r.sasKey)
	for _, s := range []string{q.Get("sp"), q.Get("se"), host, path, q.Get("spr"), q.Get("sv"), q.Get("sr"), q.Get("regid")} {
		_, _ = fmt.Fprintf(mac, "%q\n", s)
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// sasProblem is why a link is refused.
type sasProblem string

const (
	sasFine     sasProblem = ""
	sasUnsigned sasProblem = "unsigned"
	sasExpired  sasProblem = "expired"
	sasMismatch sasProblem = "mismatch"
)

func (r *Registry) checkSAS(host, path string, q url.Values) sasProblem {
	if q.Get("sig") == "" || q.Get("se") == "" {
		return sasUnsigned
	}
	if !hmac.Equal([]byte(q.Get("sig")), []byte(r.sasSignature(host, path, q))) {
		return sasMismatch
	}
	end, err := time.Parse(time.RFC3339, q.Get("se"))
	if err != nil || !r.now().Before(end) {
		return sasExpired
	}
	return sasFine
}
