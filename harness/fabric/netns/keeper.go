//go:build linux

package netns

import (
	"context"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// keeper owns a host's mount namespace: one thread that lives in the host's
// network, mount and UTS namespaces, arranges its files and starts its
// programs. The mounts go when the thread ends.
type keeper struct {
	host string
	jobs chan func()

	ctx    context.Context // ends with the host
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	runs   sync.WaitGroup
	ended  chan struct{}

	files *fileSystem // for the thread only
}

// fileSystem gives the host its own files when they are first needed.
func (h *host) fileSystem(ctx context.Context) (*keeper, error) {
	h.keeperMu.Lock()
	defer h.keeperMu.Unlock()
	if h.keeper != nil {
		return h.keeper, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k := &keeper{host: h.name, jobs: make(chan func()), ended: make(chan struct{})}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	started := make(chan error, 1)
	ownThread(func() {
		defer close(k.ended)
		err := k.prepare(h)
		started <- err
		if err != nil {
			return
		}
		defer k.files.close()
		for job := range k.jobs {
			job()
		}
	})
	if err := <-started; err != nil {
		k.cancel()
		<-k.ended
		return nil, fmt.Errorf("preparing the files of host %q: %w", h.name, err)
	}
	h.keeper = k
	return k, nil
}

// prepare runs on the keeper's thread.
func (k *keeper) prepare(h *host) error {
	if err := unix.Setns(h.ns, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the network namespace: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS | unix.CLONE_NEWUTS); err != nil {
		return fmt.Errorf("making a mount namespace: %w", err)
	}
	if err := unix.Sethostname([]byte(h.name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	files, err := newFileSystem()
	if err != nil {
		return err
	}
	k.files = files
	if err := files.trust(h.trust); err != nil {
		files.close()
		return err
	}
	for path, content := range withDefaults(h.name, h.have.Files) {
		if err := files.write(path, content); err != nil {
			files.close()
			return err
		}
	}
	return nil
}

// do runs f on the keeper's thread.
func (k *keeper) do(f func() error) error {
	done := make(chan error, 1)
	select {
	case k.jobs <- func() { done <- f() }:
		return <-done
	case <-k.ctx.Done():
		return errClosed
	}
}

// enter counts a program that is about to start; leave must follow.
func (k *keeper) enter() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return errClosed
	}
	k.runs.Add(1)
	return nil
}

func (k *keeper) leave() { k.runs.Done() }

// close kills the host's programs, waits for them and ends the thread.
func (k *keeper) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.runs.Wait()
	close(k.jobs)
	<-k.ended
}

// workingDirectory is where programs start that name no directory.
func workingDirectory() string {
	dir, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}
