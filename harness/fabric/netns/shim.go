//go:build linux

package netns

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// runShim is process 1 of a program's PID namespace. It starts the program,
// reaps what the program's descendants leave behind and tells the harness how
// the program ended. Then it ends too, and with it every descendant.
func runShim() int {
	syscall.CloseOnExec(4)
	in, out := os.NewFile(3, "spec"), os.NewFile(4, "status")
	status := shim(in)
	_ = json.NewEncoder(out).Encode(status)
	if status.ExitCode < 0 || status.ExitCode > 255 {
		return 1
	}
	return status.ExitCode
}

func shim(in io.ReadCloser) shimStatus {
	var spec shimSpec
	err := json.NewDecoder(in).Decode(&spec)
	in.Close()
	if err != nil || len(spec.Args) == 0 {
		return shimStatus{ExitCode: 126, Failed: fmt.Sprintf("reading what to run: %v", err)}
	}
	// Shows this PID namespace's processes. Where it is refused programs see
	// those of the harness instead.
	_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err := os.Chdir(spec.Dir); err != nil {
		return shimStatus{ExitCode: 126, Failed: err.Error()}
	}
	path, err := lookPath(spec)
	if err != nil {
		code := 126
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			code = 127
		}
		return shimStatus{ExitCode: code, Failed: err.Error()}
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	pid, err := syscall.ForkExec(path, spec.Args, &syscall.ProcAttr{
		Env: spec.Env, Files: []uintptr{0, 1, 2}, Sys: terminalAttr(spec.Terminal),
	})
	if err != nil {
		code := 126
		if errors.Is(err, syscall.ENOENT) {
			code = 127 // the interpreter of a script
		}
		return shimStatus{ExitCode: code, Failed: fmt.Sprintf("executing %s: %v", path, err)}
	}
	go func() {
		for s := range signals {
			if sig, ok := s.(syscall.Signal); ok {
				_ = syscall.Kill(pid, sig)
			}
		}
	}()
	if spec.Terminal {
		// No shell waits for this program: nobody could continue it.
		return shimStatus{ExitCode: reapKeepingAwake(pid)}
	}
	return shimStatus{ExitCode: reapUntil(pid)}
}

// lookPath finds the program in the PATH that it will have.
func lookPath(spec shimSpec) (string, error) {
	for _, kv := range spec.Env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			if err := os.Setenv("PATH", v); err != nil {
				return "", err
			}
		}
	}
	return exec.LookPath(spec.Args[0])
}

// terminalAttr puts the program in a process group of its own, in front of the
// terminal if it has one.
func terminalAttr(own bool) *syscall.SysProcAttr {
	_, err := unix.IoctlGetTermios(0, unix.TCGETS)
	isTerminal := err == nil
	if own {
		// The caller's session goes on; only its foreground group changes.
		if isTerminal {
			return &syscall.SysProcAttr{Foreground: true, Ctty: 0}
		}
		return &syscall.SysProcAttr{Setpgid: true}
	}
	if _, err := unix.Setsid(); err == nil && isTerminal {
		// A pseudo-terminal that is no other session's becomes ours.
		if unix.IoctlSetInt(0, unix.TIOCSCTTY, 0) == nil {
			return &syscall.SysProcAttr{Foreground: true, Ctty: 0}
		}
	}
	return &syscall.SysProcAttr{Setpgid: true}
}
