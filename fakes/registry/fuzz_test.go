package registry

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzParseScopes(f *testing.F) {
	for _, s := range []string{"repository:hello-world:pull", "registry:catalog:*", "repository:a/b:pull,push repository:c:pull", "repository:host:5000/x:pull", "::", "a:b:", "a::b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		grants, err := parseScopes([]string{s})
		if err != nil {
			return
		}
		require.True(t, covers(grants, grants))
		again, err := parseScopes(strings.Fields(join(grants)))
		require.NoError(t, err)
		require.Equal(t, grants, again)
	})
}

func join(grants []grant) string {
	var out []string
	for _, g := range grants {
		out = append(out, g.String())
	}
	return strings.Join(out, " ")
}

func FuzzParseDigest(f *testing.F) {
	f.Add("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	f.Add("sha512:00")
	f.Add("sha256:" + strings.Repeat("Z", 64))
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseDigest(s)
		if err != nil {
			return
		}
		require.Equal(t, s, d.algorithm()+":"+d.hex())
		back, err := parseBlobPath("/container/" + blobPath(d))
		require.NoError(t, err)
		require.Equal(t, d, back)
		ref, bad := parseReference(s)
		require.Nil(t, bad)
		require.Equal(t, reference{digest: d}, ref)
	})
}

func FuzzParseReference(f *testing.F) {
	f.Add("latest")
	f.Add("sha256:x")
	f.Add("-")
	f.Fuzz(func(t *testing.T, s string) {
		ref, bad := parseReference(s)
		require.Equal(t, bad == nil, (ref.tag == "") != (ref.digest == ""), "either a tag or a digest, or an error")
	})
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/v2/", "/v2/a/manifests/b", "/v2/blobs/blobs/uploads/", "/v2/a/b/tags/list", "/v2/a/blobs/uploads/1", "/v2/manifests/manifests/manifests"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		rt := parsePath(s)
		r := httptest.NewRequest("POST", "/", nil)
		r.URL = &url.URL{Path: s}
		_ = rt.needs(r)
		_, _ = parseBlobPath(s)
	})
}

func FuzzParseContentRange(f *testing.F) {
	for _, s := range []string{"0-0", "5-7", "bytes 0-3/4", "7-5", "-1", "9223372036854775807-9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, last, err := parseContentRange(s)
		if err == nil {
			require.GreaterOrEqual(t, first, int64(0))
			require.GreaterOrEqual(t, last, first)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add(typeOCIManifest, []byte(`{"schemaVersion":2,"config":{"digest":"x"}}`))
	f.Add(typeOCIIndex, []byte(`{"schemaVersion":2,"manifests":[]}`))
	f.Fuzz(func(_ *testing.T, mediaType string, body []byte) {
		m, bad := parseManifest(mediaType, digestOf("sha256", body), body)
		if bad == nil {
			_, _ = m.references()
			_ = m.asReferrer()
		}
	})
}

// FuzzTokenForm sends any body to the token service.
func FuzzTokenForm(f *testing.F) {
	cfg := testConfig()
	reg, err := New(cfg)
	require.NoError(f, err)
	h := reg.Handler(testFront())
	f.Add("grant_type=password&service=myregistry.azurecr.io&username=admin&password=secret&scope=repository:a:pull")
	f.Add("grant_type=access_token&service=myregistry.azurecr.io&access_token=a.b.c")
	f.Add("%zz")
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/oauth2/token", "/oauth2/exchange"} {
			resp := call(h, "POST", "https://"+loginName+path, strings.NewReader(body), "Content-Type: application/x-www-form-urlencoded")
			require.Less(t, resp.StatusCode, 500)
		}
	})
}
