//go:build linux

package netns

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// runInit is process 1 of the new namespaces. It sets them up, starts the
// program as its child and reaps what orphans the program's descendants leave.
// Being process 1, it takes everything inside with it when it ends.
func runInit(m marker) int {
	inode, err := setUpInside()
	if err == nil && m.role == roleCheck {
		err = tryFabric()
	}
	if err != nil {
		failed := message{Failed: err.Error()}
		var step *stepError
		if errors.As(err, &step) {
			failed.Failed = step.doing
			errors.As(step.err, &failed.Errno)
		}
		_ = send(m.fd, failed)
		return 1
	}
	if m.role == roleCheck {
		_ = send(m.fd, message{Ready: true})
		return 0
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Env:   withMarker(os.Environ(), marker{role: roleInside, fd: m.fd, inode: inode}),
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		_ = send(m.fd, message{Failed: "starting the program again", Errno: errnoOf(err)})
		return 1
	}
	if err := send(m.fd, message{Ready: true}); err != nil {
		return 1
	}
	go dieWithParent(m.fd)
	go func() {
		for s := range signals {
			if sig, ok := s.(syscall.Signal); ok && !fromTerminal(s) {
				_ = syscall.Kill(pid, sig)
			}
		}
	}()
	return reapUntil(pid)
}

// dieWithParent ends process 1, and with it everything, when the process
// outside is gone. The parent-death signal does the same, but is missed if that
// process dies before it is armed.
func dieWithParent(fd int) {
	buf := make([]byte, 1)
	for {
		n, _, err := unix.Recvfrom(fd, buf, unix.MSG_PEEK)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 || err != nil {
			os.Exit(128 + int(syscall.SIGKILL))
		}
	}
}

// reapUntil waits for children until pid has ended, and gives its exit code.
func reapUntil(pid int) int { return reap(pid, 0) }

// reapKeepingAwake does the same and continues pid when the terminal's suspend
// key (Ctrl-Z) has stopped it.
func reapKeepingAwake(pid int) int { return reap(pid, unix.WUNTRACED) }

func reap(pid, options int) int {
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, options, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1 // no child left, which cannot be before pid has ended
		case got == pid && ws.Exited():
			return ws.ExitStatus()
		case got == pid && ws.Signaled():
			return 128 + int(ws.Signal())
		case got == pid && ws.Stopped() && ws.StopSignal() == syscall.SIGTSTP:
			_ = syscall.Kill(-pid, syscall.SIGCONT)
		}
	}
}

// stepError names the step of setting up that was refused.
type stepError struct {
	doing string
	err   error
}

func (e *stepError) Error() string { return e.doing + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// setUpInside makes the mounts private, shows the new processes in /proc and
// brings the loopback interface up. It gives the network namespace's inode.
func setUpInside() (uint64, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return 0, &stepError{"making mounts private", err}
	}
	// Refused without privilege where a container engine masks parts of /proc;
	// then the old one stays, in which /proc/self still works.
	_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err := loopbackUp(); err != nil {
		return 0, &stepError{"bringing the loopback interface up", err}
	}
	return netnsInode()
}

// loopbackUp acts on the network namespace of the calling thread.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("setting the flags of lo: %w", err)
	}
	return nil
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if err == nil || errors.Is(err, io.EOF) {
		return 0
	}
	errors.As(err, &errno)
	return errno
}
