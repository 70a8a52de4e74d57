package probe

import (
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseResolvConf(t *testing.T) {
	for in, want := range map[string][]string{
		"nameserver 10.0.0.1\nnameserver 10.0.0.2\n":                                                       {"10.0.0.1", "10.0.0.2"},
		"# nameserver 1.1.1.1\n;nameserver 1.1.1.2\n\tnameserver   168.63.129.16 # azure\noptions ndots:5": {"168.63.129.16"},
		"nameserver fe80::1%eth0\nnameserver ::ffff:10.0.0.1":                                              {"fe80::1%eth0", "10.0.0.1"},
		"":                            {"127.0.0.1"},
		"nameserver not-an-address\n": {"127.0.0.1"},
		"nameserver 1.1.1.1\r\n":      {"1.1.1.1"},
		"nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4": {"1.0.0.1", "1.0.0.2", "1.0.0.3"},
	} {
		var got []string
		for _, a := range ParseResolvConf([]byte(in)) {
			got = append(got, a.String())
		}
		require.Equal(t, want, got, in)
	}
}

func TestParseHosts(t *testing.T) {
	got := ParseHosts([]byte("127.0.0.1 localhost\n10.0.0.4 MyRegistry.azurecr.io. alias # comment\n#10.0.0.5 x\nbad line\n\n10.0.0.6 alias\n"))
	require.Equal(t, []netip.Addr{netip.MustParseAddr("10.0.0.4")}, got["myregistry.azurecr.io"])
	require.Len(t, got["alias"], 2)
	require.NotContains(t, got, "x")
}

func TestParseChallenges(t *testing.T) {
	for _, test := range []struct {
		in   string
		want []authChallenge
	}{
		{`Bearer realm="https://r.azurecr.io/oauth2/token",service="r.azurecr.io"`,
			[]authChallenge{{"Bearer", map[string]string{"realm": "https://r.azurecr.io/oauth2/token", "service": "r.azurecr.io"}}}},
		{`Bearer realm="a",service="b",scope="repository:x:pull,push",error="invalid_token"`,
			[]authChallenge{{"Bearer", map[string]string{"realm": "a", "service": "b", "scope": "repository:x:pull,push", "error": "invalid_token"}}}},
		{`Negotiate, Basic realm="corp \"x\"" , Bearer Realm = x`,
			[]authChallenge{{"Negotiate", map[string]string{}}, {"Basic", map[string]string{"realm": `corp "x"`}}, {"Bearer", map[string]string{"realm": "x"}}}},
		{``, nil},
		{`realm="x"`, nil},
		{`,,=,"`, nil},
		{`Bearer realm="open`, []authChallenge{{"Bearer", map[string]string{"realm": "open"}}}},
	} {
		got := parseChallenges(test.in)
		if len(got) == 0 {
			got = nil
		}
		require.Equal(t, test.want, got, test.in)
	}
}

func TestParseDenied(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		body   string
		denied bool
		ip     string
	}{
		{"2020", 403, `{"errors":[{"code":"DENIED","message":"client with IP '52.1.2.3' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."}]}`, true, "52.1.2.3"},
		{"escaped", 403, `{"errors":[{"code":"DENIED","message":"client with IP \u0027203.0.113.7\u0027 is not allowed access."}]}`, true, "203.0.113.7"},
		{"2026, comma and line feed", 403, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"client with IP '20.200.208.116' is not allowed access, refer https://aka.ms/acr/firewall to grant access\"}]}\n", true, "20.200.208.116"},
		{"IPv6", 403, `{"errors":[{"code":"DENIED","message":"client with IP '2001:db8::1' is not allowed access."}]}`, true, "2001:db8::1"},
		{"byte order mark", 403, "\ufeff" + `{"errors":[{"code":"DENIED","message":"client with IP 10.0.0.4. is not allowed access."}]}`, true, "10.0.0.4"},
		{"no address", 403, `{"errors":[{"code":"DENIED","message":"client is not allowed access."}]}`, true, ""},
		{"permission", 403, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`, false, ""},
		{"a filter's page", 403, `<html><h1>Access Denied by Corp Proxy</h1>client with IP '10.0.0.1'</html>`, false, ""},
		{"another status", 401, `{"errors":[{"code":"DENIED","message":"client with IP '52.1.2.3' is not allowed access."}]}`, false, ""},
		{"empty", 403, ``, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			denied, ip := parseDenied(test.status, []byte(test.body))
			require.Equal(t, test.denied, denied)
			if test.ip == "" {
				require.False(t, ip.IsValid())
			} else {
				require.Equal(t, test.ip, ip.String())
			}
		})
	}
}

func TestProxySettings(t *testing.T) {
	p := proxyFromEnviron([]string{"https_proxy=http://lower:3128", "HTTPS_PROXY=http://user:secret@proxy:3128", "NO_PROXY=.azurecr.io,10.0.0.0/8"}, "environment")
	require.Equal(t, "http://proxy:3128", p.shown.HTTPSProxy)
	require.Equal(t, "environment HTTPS_PROXY", p.shown.From)
	require.Empty(t, p.shown.Malformed)
	require.Contains(t, p.shown.Conflict, "http://lower:3128")
	require.NotContains(t, p.shown.Conflict, "secret")
	require.False(t, p.proxyFor("myregistry.azurecr.io"))
	require.True(t, p.proxyFor("eusmanaged15.blob.core.windows.net"))
	require.False(t, proxyFromEnviron([]string{"HTTPS_PROXY="}, "environment").proxyFor("x.example"))
	require.Empty(t, proxyFromEnviron(nil, "environment").shown.From)

	for raw, wrong := range map[string]string{
		"proxy:3128": "", "http://proxy:3128": "", "https://proxy": "", "10.0.0.8:3128": "", "http://[2001:db8::1]:3128": "",
		`http:\\p:3128`: "backslashes", "http//p:3128": "lacks the colon", "http://": "names no host", "ftp://p:21": "scheme",
		"http://p:": "port", `"http://p:3128"`: "quotation", "http://user:pa%zz@p:1": "no URL", "http://:3128": "names no host", "http://p:99999": "port",
	} {
		s := newProxySettings(raw, "", "test").shown
		if wrong == "" {
			require.Empty(t, s.Malformed, raw)
		} else {
			require.Contains(t, s.Malformed, wrong, raw)
			require.NotContains(t, s.Malformed, "pa%zz")
		}
	}
}

func TestUnitEnvironment(t *testing.T) {
	var u unitEnvironment
	u.apply([]byte("[Unit]\nEnvironment=A=1\n[Service]\nEnvironmentFile=-/etc/default/docker\n# Environment=B=1\n" +
		"Environment=\"HTTPS_PROXY=http://p%%40x:3128\" 'NO_PROXY=a, b' C=3\nEnvironment=D=\\\n# comment\n  E=5\n"))
	require.Equal(t, []string{"HTTPS_PROXY=http://p%40x:3128", "NO_PROXY=a, b", "C=3", "D=", "E=5"}, u.vars)
	require.Equal(t, []string{"/etc/default/docker"}, u.files)
	u.apply([]byte("[Service]\nEnvironment=\nEnvironmentFile=\nEnvironment=F=6"))
	require.Equal(t, []string{"F=6"}, u.vars)
	require.Empty(t, u.files)
	require.Equal(t, []string{"HTTPS_PROXY=http://p:1", "X=a b", "Y="}, parseEnvFile([]byte("#c\nexport HTTPS_PROXY=\"http://p:1\"\nX='a b' rest\nY=\nif true; then\n")))
}

func TestRedaction(t *testing.T) {
	for in, want := range map[string]string{
		"https://user:pw@proxy:3128/x":                 "https://proxy:3128/x",
		"?se=1&sig=abc%2Fdef&sp=r":                     "?se=1&sig=REDACTED&sp=r",
		`{"access_token":"eyJhbGciOi.eyJz.c2ln"}`:      `{"access_token":"REDACTED"}`,
		"Authorization: Bearer abcdefghijklmnop":       "Authorization: Bearer REDACTED",
		"the registry wants bearer authentication":     "the registry wants bearer authentication",
		"proxy-authorization: basic dXNlcjpwdw==":      "proxy-authorization: basic REDACTED",
		"sent Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": "sent Bearer REDACTED",
		`href="https://x/y?sp=r&amp;sig=abc"`:          `href="https://x/y?sp=r&amp;sig=REDACTED"`,
		`client with IP '203.0.113.7' is not allowed`:  `client with IP '203.0.113.7' is not allowed`,
	} {
		require.Equal(t, want, redactText(in), in)
	}
	u, err := url.Parse("https://u:p@x.blob.core.windows.net/c/d?sig=abc&sp=r&code=1#f")
	require.NoError(t, err)
	require.Equal(t, "https://x.blob.core.windows.net/c/d?code=REDACTED&sig=REDACTED&sp=r", redactURL(u))
	require.NotContains(t, withoutUserinfo(`http:\\user:secret@p:3128`), "secret")
}

func TestRegionOf(t *testing.T) {
	require.Equal(t, "eastus", regionOf([]CNAME{{Target: "eus.fe.azcr.io"}, {Target: "r0318eus-az.eastus.cloudapp.azure.com"}}))
	require.Empty(t, regionOf([]CNAME{{Target: "r.privatelink.azurecr.io"}}))
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="a",service="b", Basic x`)
	f.Fuzz(func(t *testing.T, s string) { parseChallenges(s) })
}

func FuzzParseDenied(f *testing.F) {
	f.Add([]byte(`{"errors":[{"code":"DENIED","message":"client with IP '1.2.3.4' is"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if denied, _ := parseDenied(403, b); denied {
			_, ok := parseErrors(b)
			require.True(t, ok)
		}
	})
}

func FuzzUnitEnvironment(f *testing.F) {
	f.Add([]byte("[Service]\nEnvironment=\"A=1\" B='2 3'\\\n C=4"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var u unitEnvironment
		u.apply(b)
		for _, v := range u.vars {
			require.Contains(t, v, "=")
		}
		parseEnvFile(b)
	})
}

func FuzzResolvConf(f *testing.F) {
	f.Add([]byte("nameserver 10.0.0.1\nsearch a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := len(ParseResolvConf(b))
		require.True(t, n >= 1 && n <= 3)
		ParseHosts(b)
	})
}
