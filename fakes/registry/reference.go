package registry

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// Grammars of the OCI distribution specification, "Pulling manifests":
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
var (
	namePattern = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagPattern  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

func validName(s string) bool { return len(s) <= 255 && namePattern.MatchString(s) }
func validTag(s string) bool  { return tagPattern.MatchString(s) }

// digest is "sha256:<64 hex>" or "sha512:<128 hex>", the registered algorithms of
// https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
type digest string

// parseDigest refuses unknown algorithms, wrong lengths and upper-case letters.
func parseDigest(s string) (digest, error) {
	algorithm, encoded, ok := strings.Cut(s, ":")
	if !ok {
		return "", fmt.Errorf("digest %q has no algorithm", s)
	}
	var size int
	switch algorithm {
	case "sha256":
		size = sha256.Size
	case "sha512":
		size = sha512.Size
	default:
		return "", fmt.Errorf("digest %q has an unsupported algorithm", s)
	}
	if len(encoded) != 2*size || strings.ToLower(encoded) != encoded {
		return "", fmt.Errorf("digest %q is not %d lower-case hexadecimal digits", s, 2*size)
	}
	if _, err := hex.DecodeString(encoded); err != nil {
		return "", fmt.Errorf("digest %q is not hexadecimal", s)
	}
	return digest(s), nil
}

func (d digest) algorithm() string { a, _, _ := strings.Cut(string(d), ":"); return a }
func (d digest) hex() string       { _, h, _ := strings.Cut(string(d), ":"); return h }

// matches says whether content has this digest.
func (d digest) matches(content []byte) bool { return digestOf(d.algorithm(), content) == d }

// digestOf hashes content with sha512 when asked by name, else with sha256.
func digestOf(algorithm string, content []byte) digest {
	if algorithm == "sha512" {
		sum := sha512.Sum512(content)
		return digest("sha512:" + hex.EncodeToString(sum[:]))
	}
	sum := sha256.Sum256(content)
	return digest("sha256:" + hex.EncodeToString(sum[:]))
}

// reference is what stands after /manifests/: a tag or a digest, never both.
type reference struct {
	tag    string
	digest digest
}

func parseReference(s string) (reference, *apiError) {
	if strings.Contains(s, ":") {
		d, err := parseDigest(s)
		if err != nil {
			return reference{}, errDigestInvalid(err.Error())
		}
		return reference{digest: d}, nil
	}
	if !validTag(s) {
		return reference{}, &apiError{status: 400, code: "TAG_INVALID", message: "manifest tag did not match URI"}
	}
	return reference{tag: s}, nil
}
