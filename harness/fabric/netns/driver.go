//go:build linux

package netns

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/plan"
)

// Up implements [fabric.Driver]. The process must be inside: see [Enter].
func (d *Driver) Up(ctx context.Context, n *plan.Network) (fabric.World, error) {
	if !Inside() {
		return nil, ErrOutside
	}
	w, err := d.up(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("building the network: %w", err)
	}
	return w, nil
}

func (d *Driver) up(ctx context.Context, n *plan.Network) (*world, error) {
	if err := validate(n); err != nil {
		return nil, err
	}
	home, err := unix.Open(threadNetns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the harness's network namespace: %w", err)
	}
	w := &world{driver: *d, home: home, hosts: map[string]*host{}, links: map[linkKey]plan.Link{}, done: make(chan struct{})}
	if err := w.reconcile(ctx, n); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}
