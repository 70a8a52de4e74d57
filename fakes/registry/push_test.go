package registry

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPushedImageIsPulledBack(t *testing.T) {
	h := newRegistry(t, testConfig()).Handler(testFront())
	at := func(path string) string { return "https://" + loginName + path }
	admin := basic("admin", "secret")

	resp := call(h, "POST", at("/v2/new/repo/blobs/uploads/"), nil, admin)
	require.Equal(t, 202, resp.StatusCode)
	loc := resp.Header.Get("Location")
	require.Equal(t, "0-0", resp.Header.Get("Range"))
	require.NotEmpty(t, resp.Header.Get("Docker-Upload-Uuid"))

	t.Run("a chunk out of order is refused and changes nothing", func(t *testing.T) {
		resp := call(h, "PATCH", at(loc), strings.NewReader("abc"), admin, "Content-Range: 5-7")
		require.Equal(t, 416, resp.StatusCode)
		require.Equal(t, loc, resp.Header.Get("Location"))
	})
	t.Run("a chunk shorter than its range is refused", func(t *testing.T) {
		require.Equal(t, 400, call(h, "PATCH", at(loc), strings.NewReader("a"), admin, "Content-Range: 0-7").StatusCode)
	})
	t.Run("a location without its state is unknown", func(t *testing.T) {
		bare, _, _ := strings.Cut(loc, "?")
		require.Equal(t, 404, call(h, "GET", at(bare), nil, admin).StatusCode)
	})
	t.Run("an upload belongs to its repository", func(t *testing.T) {
		require.Equal(t, 404, call(h, "GET", at(strings.Replace(loc, "/new/repo/", "/other/", 1)), nil, admin).StatusCode)
	})
	resp = call(h, "PATCH", at(loc), strings.NewReader("abc"), admin, "Content-Range: 0-2")
	require.Equal(t, 202, resp.StatusCode)
	require.Equal(t, "0-2", resp.Header.Get("Range"))
	d := digestOf("sha256", []byte("abcdef"))
	resp = call(h, "PUT", at(loc+"&digest="+string(d)), strings.NewReader("def"), admin)
	require.Equal(t, 201, resp.StatusCode)
	require.Equal(t, "/v2/new/repo/blobs/"+string(d), resp.Header.Get("Location"))
	require.Equal(t, 404, call(h, "GET", at(loc), nil, admin).StatusCode, "a finished upload is gone")

	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"x/y","digest":%q,"size":6},"layers":[]}`, typeOCIManifest, d)
	put := func(path, body, mediaType string) (int, string) {
		resp := call(h, "PUT", at(path), strings.NewReader(body), admin, "Content-Type: "+mediaType)
		return resp.StatusCode, bodyOf(t, resp)
	}
	for name, tc := range map[string]struct{ path, body, mediaType, code string }{
		"of an unknown type":       {"/v2/new/repo/manifests/1", manifest, "text/plain", "MANIFEST_INVALID"},
		"of another type":          {"/v2/new/repo/manifests/1", manifest, typeDockerManifest, "MANIFEST_INVALID"},
		"that is no JSON":          {"/v2/new/repo/manifests/1", "{", typeOCIManifest, "MANIFEST_INVALID"},
		"without config":           {"/v2/new/repo/manifests/1", `{"schemaVersion":2}`, typeOCIManifest, "MANIFEST_INVALID"},
		"of schema version 1":      {"/v2/new/repo/manifests/1", `{"schemaVersion":1}`, typeOCIManifest, "MANIFEST_INVALID"},
		"with another digest":      {"/v2/new/repo/manifests/" + string(d), manifest, typeOCIManifest, "DIGEST_INVALID"},
		"whose blobs are missing":  {"/v2/elsewhere/manifests/1", manifest, typeOCIManifest, "MANIFEST_BLOB_UNKNOWN"},
		"with a tag that is none":  {"/v2/new/repo/manifests/-x", manifest, typeOCIManifest, "TAG_INVALID"},
		"that names a bad digest":  {"/v2/new/repo/manifests/1", strings.Replace(manifest, d.hex(), "zz", 1), typeOCIManifest, "MANIFEST_INVALID"},
		"with a digest that isn't": {"/v2/new/repo/manifests/sha256:1", manifest, typeOCIManifest, "DIGEST_INVALID"},
	} {
		status, body := put(tc.path, tc.body, tc.mediaType)
		require.Equal(t, 400, status, name)
		require.Contains(t, body, tc.code, name)
	}
	status, body := put("/v2/new/repo/manifests/1", manifest, typeOCIManifest)
	require.Equal(t, 201, status, body)
	resp = call(h, "GET", at("/v2/new/repo/manifests/1"), nil, admin)
	require.Equal(t, manifest, bodyOf(t, resp))
	require.Equal(t, typeOCIManifest, resp.Header.Get("Content-Type"))
	require.Contains(t, bodyOf(t, call(h, "GET", at("/v2/_catalog"), nil, admin)), `["hello-world","new/repo"]`)
	require.Contains(t, bodyOf(t, call(h, "GET", at("/v2/new/repo/manifests/2"), nil, admin)), `manifest tagged by \"2\" is not found`)
	require.Contains(t, bodyOf(t, call(h, "GET", at("/v2/none/manifests/2"), nil, admin)), "NAME_UNKNOWN")
}

func TestABlobIsMountedOnlyWithTheRightToReadItsSource(t *testing.T) {
	reg := newRegistry(t, testConfig())
	h := reg.Handler(testFront())
	d := digestOf("sha256", []byte("secret"))
	reg.store.putBlob("source", d, []byte("secret"))
	target := "https://" + loginName + "/v2/target/blobs/uploads/?mount=" + string(d) + "&from=source"

	require.Equal(t, 401, call(h, "POST", target, nil, bearer(accessToken(t, h, "repository:target:pull,push"))).StatusCode)
	both := bearer(accessToken(t, h, "repository:target:pull,push repository:source:pull"))
	require.Equal(t, 202, call(h, "POST", strings.Replace(target, "&from=source", "", 1), nil, both).StatusCode, "no source, no mount")
	resp := call(h, "POST", target, nil, both)
	require.Equal(t, 201, resp.StatusCode)
	require.Equal(t, string(d), resp.Header.Get("Docker-Content-Digest"))
	require.Equal(t, 200, call(h, "HEAD", "https://"+loginName+"/v2/target/blobs/"+string(d), nil, both).StatusCode)

	require.True(t, reg.store.deleteBlob("source", d))
	_, ok := reg.store.content(d)
	require.True(t, ok, "the other repository still holds it")
	require.True(t, reg.store.deleteBlob("target", d))
	_, ok = reg.store.content(d)
	require.False(t, ok)
}

func TestListsAreSplitIntoPages(t *testing.T) {
	all := []string{"a", "b", "c", "d", "e"}
	for _, tc := range []struct {
		query string
		limit int
		part  []string
		next  string
	}{
		{"", 0, all, ""},
		{"", 2, []string{"a", "b"}, "last=b&n=2"},
		{"n=2", 0, []string{"a", "b"}, "last=b&n=2"},
		{"n=2&last=b", 0, []string{"c", "d"}, "last=d&n=2"},
		{"n=2&last=d", 0, []string{"e"}, ""},
		{"n=5", 0, all, ""},
		{"n=0", 0, []string{}, ""},
		{"last=bb", 0, []string{"c", "d", "e"}, ""},
		{"last=z", 0, []string{}, ""},
	} {
		q, err := url.ParseQuery(tc.query)
		require.NoError(t, err)
		part, next, bad := page(all, q, tc.limit)
		require.Nil(t, bad)
		require.Equal(t, tc.part, part, tc.query)
		require.Equal(t, tc.next, next.Encode(), tc.query)
	}
	cfg := testConfig()
	cfg.Repositories = map[string][]string{"r": {"1", "2", "3"}}
	h := newRegistry(t, cfg).Handler(testFront())
	resp := call(h, "GET", "https://"+loginName+"/v2/r/tags/list?n=2", nil, basic("admin", "secret"))
	require.Equal(t, `</v2/r/tags/list?last=2&n=2>; rel="next"`, resp.Header.Get("Link"))
	require.Equal(t, `{"name":"r","tags":["1","2"]}`, bodyOf(t, resp))
	resp = call(h, "GET", "https://"+loginName+"/acr/v1/r/_tags?n=2&orderby=timedesc", nil, basic("admin", "secret"))
	require.Contains(t, bodyOf(t, resp), `"imageName":"r"`)
	require.NotEmpty(t, resp.Header.Get("Link"))
}
