//go:build linux

package netns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/acrlab/acrlab/harness/plan"
)

// Check tells whether this machine and user can have the fabric, by building a
// small network of two hosts with a route, a filter, translation and a
// redirection, in namespaces of its own. It returns nil or an [*Unavailable].
func Check() error {
	if Inside() {
		if err := tryFabric(); err != nil {
			return explain("a small network could not be built: "+err.Error(), nil)
		}
		return nil
	}
	_, err := reexec(roleCheck)
	return err
}

// tryFabric uses every part of the kernel that worlds need.
func tryFabric() error {
	addr := netip.MustParsePrefix
	any4 := addr("0.0.0.0/0")
	n := &plan.Network{
		Hosts: []plan.Host{
			{
				Name: "client", Files: map[string]string{"/etc/hosts": "127.0.0.1 localhost\n"},
				Routes: []plan.Route{{Destination: any4, Via: netip.MustParseAddr("192.0.2.1"), Interface: "eth0"}},
			},
			{
				Name: "router", Forward: true,
				Rules:    []plan.RouteRule{{Priority: 100, Interface: "eth0", Table: 100}},
				Routes:   []plan.Route{{Table: 100, Destination: any4, Blackhole: true}},
				Filter:   []plan.FilterRule{{Name: "check", Verdict: plan.Prohibit, Match: plan.Match{Source: []netip.Prefix{any4}}}},
				NAT:      []plan.NATRule{{To: netip.MustParseAddr("192.0.2.1")}},
				Redirect: []plan.RedirectRule{{Name: "redirect", Port: 8443}},
			},
		},
		Links: []plan.Link{{Ends: [2]plan.End{
			{Host: "client", Interface: "eth0", Addresses: []netip.Prefix{addr("192.0.2.2/24")}},
			{Host: "router", Interface: "eth0", Addresses: []netip.Prefix{addr("192.0.2.1/24")}},
		}}},
		Client: "client",
	}
	w, err := new(Driver).up(context.Background(), n)
	if err != nil {
		return &stepError{"building a small network (" + err.Error() + ")", err}
	}
	defer w.Close()
	k, err := w.hosts["client"].fileSystem(context.Background())
	if err != nil {
		return &stepError{"giving a host its own files (" + err.Error() + ")", err}
	}
	_ = k
	return nil
}

// limits are the settings that forbid what the fabric needs, in the order in
// which they are looked at.
var limits = []struct {
	path, forbids, value, allow string
}{
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
		"AppArmor restricts unprivileged user namespaces", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
	{"/proc/sys/kernel/unprivileged_userns_clone", "0",
		"the kernel forbids unprivileged user namespaces", "sudo sysctl -w kernel.unprivileged_userns_clone=1"},
	{"/proc/sys/user/max_user_namespaces", "0",
		"the number of user namespaces is limited to 0", "sudo sysctl -w user.max_user_namespaces=15000"},
	{"/proc/sys/user/max_net_namespaces", "0",
		"the number of network namespaces is limited to 0", "sudo sysctl -w user.max_net_namespaces=15000"},
}

// explain names the setting that forbids namespaces, if one is found, and the
// command that changes it.
func explain(fallback string, err error) *Unavailable {
	if errno, ok := err.(syscall.Errno); ok && errno == 0 {
		err = nil
	}
	u := &Unavailable{Forbidden: fallback, Err: err}
	for i, l := range limits {
		if i < 2 && privileged() {
			continue // they concern user namespaces, which root does without
		}
		b, readErr := os.ReadFile(l.path)
		if readErr == nil && strings.TrimSpace(string(b)) == l.forbids {
			u.Forbidden, u.Allow = l.value+" ("+l.path+" is "+l.forbids+")", l.allow
			return u
		}
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EUSERS):
		u.Forbidden = "the limit of namespaces is reached"
		u.Allow = "sudo sysctl -w user.max_user_namespaces=15000 user.max_net_namespaces=15000 user.max_mnt_namespaces=15000"
	case inContainer() && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EROFS)):
		u.Forbidden = fmt.Sprintf("%s; this looks like a container, whose engine forbids namespaces by default", fallback)
		u.Allow = "docker run --privileged … (or at least --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined)"
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		u.Allow = "run as root (sudo)"
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EPROTONOSUPPORT), errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENODEV):
		u.Allow = "sudo modprobe -a veth nf_tables nft_ct nft_chain_nat nft_redir nft_reject_inet nft_fib_inet nf_conntrack_netlink overlay"
	}
	return u
}

func inContainer() bool {
	for _, p := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(p); err == nil {
			return true
		}
	}
	return os.Getenv("container") != ""
}
