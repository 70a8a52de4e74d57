//go:build linux

package netns

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A new namespace takes the IPv4 settings of the machine's first one
// (net.core.devconf_inherit_init_net, Documentation/admin-guide/sysctl/net.rst),
// so each setting that matters is checked, and written where it differs.
type setting struct{ path, value string }

var always = []setting{
	// Strict reverse path filtering, which many distributions set, would drop
	// what policy routing sends back another way (RFC 3704).
	{"/proc/sys/net/ipv4/conf/all/rp_filter", "0"},
	{"/proc/sys/net/ipv4/conf/default/rp_filter", "0"},
	// No duplicate address detection, router solicitations and multicast
	// reports on networks that have no IPv6.
	{"/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"},
	{"/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"},
}

var router = []setting{
	{"/proc/sys/net/ipv4/ip_forward", "1"},
	// Every refused connection is told so; by default all but a few per second
	// to one host are silent (icmp_ratelimit), and look like a drop.
	{"/proc/sys/net/ipv4/icmp_ratelimit", "0"},
	// Redirects would teach clients a way around the router.
	{"/proc/sys/net/ipv4/conf/all/send_redirects", "0"},
	{"/proc/sys/net/ipv4/conf/default/send_redirects", "0"},
}

var endHost = []setting{{"/proc/sys/net/ipv4/ip_forward", "0"}}

// setDefaults sets up the namespace of the calling thread.
func setDefaults(forward bool) error {
	for _, s := range always {
		if err := s.apply(); err != nil {
			return err
		}
	}
	return setForward(forward)
}

// setForward makes the namespace of the calling thread a router, or not.
func setForward(forward bool) error {
	settings := endHost
	if forward {
		settings = router
	}
	for _, s := range settings {
		if err := s.apply(); err != nil {
			return err
		}
	}
	return nil
}

// enableIPv6 is for namespaces that have an IPv6 address. Nothing there is a
// duplicate, so addresses are used without asking (accept_dad).
func enableIPv6(forward bool) error {
	const conf = "/proc/sys/net/ipv6/conf/"
	entries, err := os.ReadDir(conf) // all, default and the present interfaces
	if err != nil {
		return fmt.Errorf("looking for IPv6 settings: %w", err)
	}
	var settings []setting
	for _, e := range entries {
		settings = append(settings, setting{conf + e.Name() + "/accept_dad", "0"})
	}
	forwarding := "0"
	if forward {
		forwarding = "1"
	}
	settings = append(settings,
		setting{conf + "all/disable_ipv6", "0"},
		setting{conf + "default/disable_ipv6", "0"},
		setting{conf + "all/forwarding", forwarding})
	for _, s := range settings {
		if err := s.apply(); err != nil {
			return err
		}
	}
	return nil
}

func (s setting) apply() error {
	fd, err := unix.Open(s.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil // a kernel without IPv6
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", s.path, err)
	}
	buf := make([]byte, 16)
	n, err := unix.Read(fd, buf)
	unix.Close(fd)
	if err == nil && string(bytes.TrimSpace(buf[:n])) == s.value {
		return nil
	}
	if err := os.WriteFile(s.path, []byte(s.value), 0o644); err != nil {
		return fmt.Errorf("setting %s to %s: %w", s.path, s.value, err)
	}
	return nil
}
