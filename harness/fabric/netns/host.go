//go:build linux

package netns

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/plan"
)

// host is a running plan.Host. Its world's lock guards everything but keeper.
type host struct {
	name string
	home int // the harness's own network namespace
	ns   int // the host's; the namespace has no name and lives by descriptors
	nl   *netlink.Handle

	// have is what the host is now; it changes step by step with a Reconcile.
	have     plan.Host
	ipv6     bool
	links    map[string]*iface         // by name
	services map[string]*runningServer // by plan.Service.Name
	rules    *ruleset                  // nil until the host filters or translates

	keeperMu sync.Mutex
	keeper   *keeper // nil until a program runs here
	trust    []byte
}

func (h *host) sockets() sockets { return sockets{host: h.name, home: h.home, ns: h.ns} }

// newHosts makes the namespaces of hosts, one after another on each of a few
// threads: the kernel makes them under a lock, and more threads do not help.
func newHosts(home int, hosts []plan.Host) ([]*host, error) {
	made := make([]*host, len(hosts))
	errs := make([]error, len(hosts))
	workers := min(runtime.GOMAXPROCS(0), len(hosts), 2)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			done := make(chan struct{})
			go func() {
				defer close(done)
				runtime.LockOSThread()
				for i := w; i < len(hosts); i += workers {
					made[i], errs[i] = newHost(home, hosts[i])
					if errs[i] != nil {
						errs[i] = fmt.Errorf("host %q: %w", hosts[i].Name, errs[i])
						break
					}
				}
				if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
					errs[w] = errors.Join(errs[w], fmt.Errorf("leaving the network namespace: %w", err))
					return // still locked: the runtime destroys the thread
				}
				runtime.UnlockOSThread()
			}()
			<-done
		})
	}
	wg.Wait()
	made = slices.DeleteFunc(made, func(h *host) bool { return h == nil })
	return made, errors.Join(errs...)
}

// newHost makes one namespace and leaves the thread in it.
func newHost(home int, p plan.Host) (_ *host, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("making a network namespace: %w", err)
	}
	h := &host{
		name: p.Name, home: home, ns: -1, links: map[string]*iface{},
		services: map[string]*runningServer{}, have: plan.Host{Name: p.Name},
	}
	defer func() {
		if err != nil {
			h.release()
		}
	}()
	if h.ns, err = unix.Open(threadNetns, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("opening the network namespace: %w", err)
	}
	if err := setDefaults(p.Forward); err != nil {
		return nil, err
	}
	h.have.Forward = p.Forward
	if h.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("opening a netlink socket: %w", err)
	}
	if err := h.nl.LinkSetUp(loopback); err != nil {
		return nil, fmt.Errorf("bringing lo up: %w", err)
	}
	return h, nil
}

// loopback is interface 1 of every namespace.
var loopback = &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo", Index: 1}}

// within runs f on a thread inside the host's network namespace.
func (h *host) within(f func() error) error { return within(h.home, h.ns, f) }

// close ends services and programs and gives the namespace back.
func (h *host) close() error {
	err := h.closeServices()
	h.keeperMu.Lock()
	if h.keeper != nil {
		h.keeper.close()
		h.keeper = nil
	}
	h.keeperMu.Unlock()
	return errors.Join(err, h.release())
}

func (h *host) release() error {
	var errs []error
	if h.rules != nil {
		errs = append(errs, h.rules.close())
		h.rules = nil
	}
	if h.nl != nil {
		h.nl.Close()
		h.nl = nil
	}
	if h.ns >= 0 {
		errs = append(errs, unix.Close(h.ns))
		h.ns = -1
	}
	return errors.Join(errs...)
}
