//go:build linux

package netns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/plan"
)

// world is a running plan.Network. It is safe for concurrent use.
type world struct {
	driver Driver
	home   int // the harness's own network namespace

	mu     sync.RWMutex // held for writing while the network changes
	hosts  map[string]*host
	links  map[linkKey]plan.Link
	closed bool
	done   chan struct{}
}

var (
	_ fabric.World   = (*world)(nil)
	_ fabric.Checker = (*world)(nil)
)

var errClosed = errors.New("the network is down")

// Reconcile implements [fabric.World].
func (w *world) Reconcile(ctx context.Context, n *plan.Network) error {
	if err := validate(n); err != nil {
		return fmt.Errorf("changing the network: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("changing the network: %w", errClosed)
	}
	if err := w.reconcile(ctx, n); err != nil {
		return fmt.Errorf("changing the network: %w", err)
	}
	return nil
}

// Check implements [fabric.Checker].
func (*world) Check(n *plan.Network) error { return validate(n) }

// host finds a running host. The caller must hold the lock.
func (w *world) host(name string) (*host, error) {
	if w.closed {
		return nil, errClosed
	}
	h := w.hosts[name]
	if h == nil {
		return nil, fmt.Errorf("no host %q", name)
	}
	return h, nil
}

// Dial implements [fabric.World].
func (w *world) Dial(ctx context.Context, host, network, addr string) (net.Conn, error) {
	w.mu.RLock()
	h, err := w.host(host)
	if err != nil {
		w.mu.RUnlock()
		return nil, fmt.Errorf("dialling %s: %w", addr, err)
	}
	// The dial may take long; a namespace of its own keeps it valid meanwhile.
	s := h.sockets()
	ns, err := unix.FcntlInt(uintptr(s.ns), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		w.mu.RUnlock()
		return nil, fmt.Errorf("dialling %s from %q: %w", addr, host, err)
	}
	w.mu.RUnlock()
	defer unix.Close(ns)
	s.ns = ns
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-w.done:
			cancel(errClosed)
		case <-stop:
		}
	}()
	return s.DialContext(ctx, network, addr)
}

// Counter implements [fabric.World]. It goes on counting over a Reconcile.
func (w *world) Counter(_ context.Context, host, rule string) (uint64, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	h, err := w.host(host)
	if err != nil {
		return 0, fmt.Errorf("reading a counter: %w", err)
	}
	var n uint64
	found := false
	if h.rules != nil {
		if n, found, err = h.rules.count(rule); err != nil {
			return 0, fmt.Errorf("host %q: %w", host, err)
		}
	}
	if !found {
		return 0, fmt.Errorf("host %q has no rule %q", host, rule)
	}
	return n, nil
}

// Capture implements [fabric.World].
func (w *world) Capture(_ context.Context, host string, out io.Writer) (func() error, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	h, err := w.host(host)
	if err != nil {
		return nil, fmt.Errorf("capturing packets: %w", err)
	}
	c, err := h.capture(out)
	if err != nil {
		return nil, fmt.Errorf("capturing packets on %q: %w", host, err)
	}
	return c.stop, nil
}

// Trust implements [fabric.World].
func (w *world) Trust(host string) []byte {
	w.mu.RLock()
	defer w.mu.RUnlock()
	h, err := w.host(host)
	if err != nil {
		return nil
	}
	return append([]byte(nil), h.trust...)
}

// Close implements [fabric.World]. Programs that still run are killed.
func (w *world) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	close(w.done)
	var errs []error
	// Services first: one may hold connections through another host.
	for _, h := range w.hosts {
		errs = append(errs, h.closeServices())
	}
	for _, h := range w.hosts {
		errs = append(errs, h.close())
	}
	errs = append(errs, unix.Close(w.home))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("taking the network down: %w", err)
	}
	return nil
}
