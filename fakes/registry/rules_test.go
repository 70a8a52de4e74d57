package registry

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNetworkRulesRefuseEveryPathWithTheAddressSeen(t *testing.T) {
	cfg := testConfig()
	cfg.Public = Access{Allow: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	h := newRegistry(t, cfg).Handler(testFront())
	const (
		a = `{"errors":[{"code":"DENIED","message":"client with IP '203.0.113.7' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."}]}`
		c = `{"errors":[{"code":"DENIED","message":"client with IP '203.0.113.7' is not allowed access, refer https://aka.ms/acr/firewall to grant access"}]}` + "\n"
	)
	for _, tc := range []struct{ method, target, body string }{
		{"GET", "https://" + loginName + "/v2/", a},
		{"GET", "https://" + loginName + "/", a},
		{"GET", "https://" + loginName + "/v2/_catalog", a},
		{"GET", "https://" + loginName + "/v2/hello-world/manifests/latest", c},
		{"POST", "https://" + loginName + "/oauth2/exchange", "b"},
		{"GET", "https://" + loginName + "/oauth2/token", "b"},
		{"GET", "https://" + dataName + "/v2/", a},
	} {
		resp := call(h, tc.method, tc.target, nil, basic("admin", "secret"))
		require.Equal(t, 403, resp.StatusCode, tc.target)
		require.Empty(t, resp.Header.Get("Www-Authenticate"), tc.target)
		body := bodyOf(t, resp)
		if tc.body == "b" {
			require.Regexp(t, `^\{"errors":\[\{"code":"DENIED","message":"client with IP '203\.0\.113\.7' is not allowed access\. Refer https://aka\.ms/acr/firewall to grant access\. CorrelationId: [0-9a-f-]{36}"\}\]\}$`, body)
			continue
		}
		require.Equal(t, tc.body, body, tc.target)
	}
	require.Equal(t, 403, call(h, "GET", "https://"+storageName+"/x", nil).StatusCode)
	require.Contains(t, bodyOf(t, call(h, "GET", "https://"+storageName+"/x", nil)), "AuthenticationFailed", "storage has no such rules")
}

func TestNetworkRulesLetIn(t *testing.T) {
	for name, tc := range map[string]struct {
		public  Access
		private bool
		status  int
	}{
		"by default":                      {Access{Default: true}, false, 401},
		"an address in a rule":            {Access{Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}, false, 401},
		"no other address":                {Access{Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.8/32")}}, false, 403},
		"nobody with no rule":             {Access{}, false, 403},
		"everybody by a private endpoint": {Access{}, true, 401},
	} {
		cfg, front := testConfig(), testFront()
		cfg.Public, front.Private = tc.public, tc.private
		h := newRegistry(t, cfg).Handler(front)
		require.Equal(t, tc.status, call(h, "GET", "https://"+loginName+"/v2/", nil).StatusCode, name)
	}
	a := Access{Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
	require.True(t, a.Allows(netip.MustParseAddr("::ffff:203.0.113.7")), "an IPv4 client of a dual-stack socket")
	require.False(t, a.Allows(netip.Addr{}))
}

func TestRulesChangeWhileServing(t *testing.T) {
	cfg := testConfig()
	reg := newRegistry(t, cfg)
	h := reg.Handler(testFront())
	require.Equal(t, 401, call(h, "GET", "https://"+loginName+"/v2/", nil).StatusCode)
	cfg.Public = Access{}
	require.NoError(t, reg.Update(cfg))
	require.Equal(t, 403, call(h, "GET", "https://"+loginName+"/v2/", nil).StatusCode)
	cfg.Regions = nil
	require.ErrorContains(t, reg.Update(cfg), `configuring registry "myregistry": the registry has no region`)
}

// follow returns where a blob of hello-world is redirected to.
func follow(t *testing.T, reg *Registry) *url.URL {
	t.Helper()
	img, err := buildImage("hello-world", "latest")
	require.NoError(t, err)
	for d := range img.blobs {
		resp := call(reg.Handler(testFront()), "GET", "https://"+loginName+"/v2/hello-world/blobs/"+string(d), nil, basic("admin", "secret"))
		require.Equal(t, 307, resp.StatusCode)
		u, err := url.Parse(resp.Header.Get("Location"))
		require.NoError(t, err)
		return u
	}
	return nil
}

func TestDownloadsAreRedirectedWithinTheRegion(t *testing.T) {
	cfg := testConfig()
	cfg.Regions = append(cfg.Regions, Region{Name: "westeurope", Storage: "weumanaged01.blob.core.windows.net"})
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	clock := WithClock(func() time.Time { return at })
	front := testFront()
	d := digestOf("sha256", nil)
	for _, tc := range []struct {
		data         bool
		region, host string
		sep          string
	}{
		{true, "eastus", dataName, "//"},
		{true, "westeurope", "myregistry.westeurope.data.azurecr.io", "//"},
		{false, "eastus", storageName, "/"},
		{false, "westeurope", "weumanaged01.blob.core.windows.net", "/"},
		{false, "", storageName, "/"},
	} {
		cfg.DataEndpoints, front.Region = tc.data, tc.region
		reg := newRegistry(t, cfg, clock)
		u, err := url.Parse(reg.blobURL(reg.config(), front.Region, d))
		require.NoError(t, err)
		require.Equal(t, tc.host, u.Host)
		require.Regexp(t, `^/[0-9a-f]{12}-[0-9a-f]{10}`+tc.sep+`docker/registry/v2/blobs/sha256/e3/`+d.hex()+`/data$`, u.Path)
		q := u.Query()
		require.Equal(t, "2026-05-06T07:28:09Z", q.Get("se"))
		require.Equal(t, []string{"r", "https", "b", "2018-03-28"}, []string{q.Get("sp"), q.Get("spr"), q.Get("sr"), q.Get("sv")})
		require.Len(t, q.Get("regid"), 32)
	}
}

func TestLinksAreCheckedAndExpire(t *testing.T) {
	for _, data := range []bool{true, false} {
		now := time.Now()
		cfg := testConfig()
		cfg.DataEndpoints = data
		reg := newRegistry(t, cfg, WithClock(func() time.Time { return now }))
		h := reg.Handler(testFront())
		good := follow(t, reg)
		resp := call(h, "GET", good.String(), nil)
		require.Equal(t, 200, resp.StatusCode)
		d, err := parseBlobPath(good.Path)
		require.NoError(t, err)
		require.True(t, d.matches([]byte(bodyOf(t, resp))))

		resp = call(h, "GET", good.String(), nil, "Range: bytes=1-3")
		require.Equal(t, 206, resp.StatusCode)
		require.Len(t, bodyOf(t, resp), 3)
		resp = call(h, "HEAD", good.String(), nil)
		require.Equal(t, 200, resp.StatusCode)
		require.NotEmpty(t, resp.Header.Get("Content-Length"))
		require.Equal(t, 416, call(h, "GET", good.String(), nil, "Range: bytes=9999999-").StatusCode)
		require.GreaterOrEqual(t, call(h, "PUT", good.String(), strings.NewReader("x")).StatusCode, 400)

		edit := func(name, value string) string {
			u := *good
			q := u.Query()
			q.Set(name, value)
			u.RawQuery = q.Encode()
			return u.String()
		}
		otherHost := *good
		otherHost.Host = map[bool]string{true: storageName, false: dataName}[data]
		for _, bad := range []string{edit("sig", ""), edit("sig", "AAAA"), edit("se", "2099-01-01T00:00:00Z"), edit("sp", "rw"),
			"https://" + good.Host + "/v2/", "https://" + good.Host + good.Path, otherHost.String()} {
			require.Equal(t, 403, call(h, "GET", bad, nil).StatusCode, bad)
		}
		now = now.Add(sasLife + time.Second)
		resp = call(h, "GET", good.String(), nil)
		require.Equal(t, 403, resp.StatusCode)
		if !data {
			body := bodyOf(t, resp)
			require.True(t, strings.HasPrefix(body, "\ufeff"+`<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><Message>Server failed`), body)
			require.Contains(t, body, "\nRequestId:")
			require.Contains(t, body, "Signed expiry time [")
			require.Equal(t, "application/xml", resp.Header.Get("Content-Type"))
			require.Equal(t, "AuthenticationFailed", resp.Header.Get("X-Ms-Error-Code"))
		}
	}
}

func TestHeadOfABlobIsAnsweredByTheLoginServer(t *testing.T) {
	reg := newRegistry(t, testConfig())
	d, err := parseBlobPath(follow(t, reg).Path)
	require.NoError(t, err)
	content, _ := reg.store.content(d)
	resp := call(reg.Handler(testFront()), "HEAD", "https://"+loginName+"/v2/hello-world/blobs/"+string(d), nil, basic("admin", "secret"))
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, int64(len(content)), resp.ContentLength)
	require.Equal(t, string(d), resp.Header.Get("Docker-Content-Digest"))
}

func TestStorageRefusesARegistryTokenSentAlong(t *testing.T) {
	cfg := testConfig()
	cfg.DataEndpoints = false
	reg := newRegistry(t, cfg)
	resp := call(reg.Handler(testFront()), "GET", follow(t, reg).String(), nil, bearer("x"))
	require.Equal(t, 400, resp.StatusCode)
	require.Contains(t, bodyOf(t, resp), "<Code>InvalidAuthenticationInfo</Code>")
}
