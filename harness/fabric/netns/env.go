//go:build linux

package netns

import (
	"maps"
	"os"
	"slices"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is what a program on a host gets: little of the caller's, so that
// neither proxies nor certificates nor credentials of the machine come along,
// then the trust store, then the host's own, then the command's.
func environment(host, command map[string]string) []string {
	env := map[string]string{
		"PATH": defaultPath, "HOME": home, "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh",
		// OpenSSL and Go; Python's requests; curl; Node.
		"SSL_CERT_FILE": bundlePath, "SSL_CERT_DIR": "/etc/ssl/certs",
		"REQUESTS_CA_BUNDLE": bundlePath, "CURL_CA_BUNDLE": bundlePath, "NODE_EXTRA_CA_CERTS": bundlePath,
	}
	for _, name := range []string{"PATH", "TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "NO_COLOR"} {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	maps.Copy(env, host)
	maps.Copy(env, command)
	out := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+env[k])
	}
	return out
}
