//go:build linux

package netns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/fabric"
)

// shimSpec is what the shim is told to start.
type shimSpec struct {
	Args     []string `json:"args"`
	Env      []string `json:"env"`
	Dir      string   `json:"dir"`
	Terminal bool     `json:"terminal,omitempty"`
}

// shimStatus is what the shim answers.
type shimStatus struct {
	ExitCode int `json:"exitCode"`
	// Failed says why the program could not be started.
	Failed string `json:"failed,omitempty"`
}

// Run implements [fabric.World]. A program that is not found or not executable
// is an error, with the exit code that a shell gives it: 127 or 126.
func (w *world) Run(ctx context.Context, host string, cmd *fabric.Command) error {
	if len(cmd.Args) == 0 {
		return fmt.Errorf("running a program on %q: no program given", host)
	}
	if err := w.run(ctx, host, cmd); err != nil {
		return fmt.Errorf("running %s on %q: %w", cmd.Args[0], host, err)
	}
	return nil
}

func (w *world) run(ctx context.Context, host string, cmd *fabric.Command) error {
	w.mu.RLock()
	h, err := w.host(host)
	if err != nil {
		w.mu.RUnlock()
		return err
	}
	env := maps.Clone(h.have.Env)
	if cmd.Daemon {
		env = maps.Clone(h.have.Daemon)
	}
	k, err := h.fileSystem(ctx)
	if err == nil {
		err = k.enter()
	}
	w.mu.RUnlock()
	if err != nil {
		return err
	}
	defer k.leave()

	spec := shimSpec{Args: cmd.Args, Env: environment(env, cmd.Env), Dir: cmd.Dir, Terminal: cmd.Terminal}
	if spec.Dir == "" {
		spec.Dir = workingDirectory()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.ctx, cancel)()
	status, err := k.start(ctx, spec, cmd)
	if cmd.Terminal {
		if fd := insideOnce(); fd >= 0 {
			_ = send(fd, message{Foreground: true})
		}
	}
	cmd.ExitCode = status.ExitCode
	switch {
	case k.ctx.Err() != nil:
		return errClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case status.Failed != "":
		return errors.New(status.Failed)
	}
	return nil
}

// start runs the shim as process 1 of a PID namespace of its own, from the
// keeper's thread, and waits for it. When the shim ends the kernel kills all
// that is left in there, before the wait returns.
func (k *keeper) start(ctx context.Context, spec shimSpec, cmd *fabric.Command) (shimStatus, error) {
	killed := shimStatus{ExitCode: 128 + int(syscall.SIGKILL)}
	specR, specW, err := os.Pipe()
	if err != nil {
		return killed, fmt.Errorf("making a pipe: %w", err)
	}
	defer specR.Close()
	statusR, statusW, err := os.Pipe()
	if err != nil {
		specW.Close()
		return killed, fmt.Errorf("making a pipe: %w", err)
	}
	defer statusR.Close()

	c := exec.CommandContext(ctx, "/proc/self/exe")
	c.Args = []string{shimName}
	c.Env = []string{"GORACE=atexit_sleep_ms=0"} // a race-enabled build would wait a second at its end
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		c.Env = append(c.Env, "GOCOVERDIR="+dir)
	}
	c.ExtraFiles = []*os.File{specR, statusW} // 3 and 4
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	c.Stdout, c.Stderr = cmd.Stdout, cmd.Stderr
	feed := func() {}
	switch in := cmd.Stdin.(type) {
	case nil:
	case *os.File:
		c.Stdin = in
	default:
		// Not c.Stdin = in: Wait would wait for a Read that may never return.
		pipe, err := c.StdinPipe()
		if err != nil {
			specW.Close()
			statusW.Close()
			return killed, fmt.Errorf("making a pipe: %w", err)
		}
		feed = func() {
			_, _ = io.Copy(pipe, in)
			pipe.Close()
		}
	}
	if cmd.Terminal {
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		feed = func() {}
	}
	trees := hidden(append([]string{spec.Args[0], spec.Dir}, cmd.Needs...))
	err = k.do(func() error {
		k.files.reveal(trees)
		return c.Start()
	})
	for _, t := range trees {
		unix.Close(t.tree)
	}
	statusW.Close()
	if err != nil {
		specW.Close()
		return killed, fmt.Errorf("starting the shim: %w", err)
	}
	go feed()
	go func() {
		_ = json.NewEncoder(specW).Encode(spec)
		specW.Close()
	}()
	waitErr := c.Wait()
	var status shimStatus
	if err := json.NewDecoder(statusR).Decode(&status); err != nil {
		if ctx.Err() != nil {
			return killed, ctx.Err()
		}
		return killed, fmt.Errorf("the shim was killed: %w", errors.Join(waitErr, err))
	}
	var exit *exec.ExitError
	if waitErr != nil && !errors.As(waitErr, &exit) {
		return status, waitErr // copying the output failed
	}
	return status, nil
}

// hidden takes hold of programs and directories that are named by a path under
// one of the covered directories. It must run in the harness's own mount
// namespace: the kernel clones no tree of another (open_tree(2)).
func hidden(paths []string) []keptTree {
	var found []keptTree
	for _, p := range paths {
		if !filepath.IsAbs(p) {
			continue
		}
		for _, c := range []string{home, "/run"} {
			top, ok := firstUnder(c, p)
			if !ok || slices.ContainsFunc(found, func(k keptTree) bool { return k.path == top }) {
				continue
			}
			if k, err := grab(top); err == nil {
				found = append(found, k)
			}
		}
	}
	return found
}

// reveal shows trees where the host has nothing.
func (f *fileSystem) reveal(trees []keptTree) {
	for _, k := range trees {
		if _, err := os.Lstat(k.path); err != nil {
			_ = k.restore() // a program that is not there says so itself
		}
	}
}
