//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// patience bounds what ends at once unless it is broken.
const patience = 30 * time.Second

// setup prepares a script. When it ends, nothing that it started may be left:
// every process of acrlab and every program on a host has the script's folder,
// or one in it, as its working directory.
func setup(env *testscript.Env) error {
	env.Setenv("GORACE", "atexit_sleep_ms=0") // a race-enabled build waits a second at its end
	env.Setenv("TERM", "xterm")
	work := env.WorkDir
	env.Defer(func() {
		if left := processesIn(work); len(left) > 0 {
			env.T().Fatal(fmt.Sprintf("processes are left behind in %s: %v", work, left))
		}
	})
	return nil
}

func processesIn(dir string) []string {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	var out []string
	for _, l := range links {
		if cwd, err := os.Readlink(l); err == nil && strings.HasPrefix(cwd+"/", dir+"/") {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(l), "cmdline"))
			out = append(out, l+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return out
}

// code N PROGRAM ARGS… demands an exit code.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program args…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("running %s: %v", args[1], err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// complains PATTERN demands that stderr is one line of acrlab's own that matches.
func complains(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: complains pattern")
	}
	text := ts.ReadFile("stderr")
	line, rest, ended := strings.Cut(text, "\n")
	switch {
	case !ended || rest != "":
		ts.Fatalf("stderr is not one line: %q", text)
	case !strings.HasPrefix(line, "acrlab: "):
		ts.Fatalf("stderr does not begin with acrlab: %q", line)
	case len(line) > 250:
		ts.Fatalf("%d characters are too many for an error: %s", len(line), line)
	case !regexp.MustCompile(args[0]).MatchString(line):
		ts.Fatalf("%q does not match %q", line, args[0])
	}
}

// interrupt CODE FIFO PROGRAM ARGS… starts a program, sends it SIGINT as soon
// as somebody has written a line to FIFO, and demands that it ends with CODE.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: interrupt code fifo program args…")
	}
	fifo := ts.MkAbs(args[1])
	ts.Check(syscall.Mkfifo(fifo, 0o600))
	// Open for writing too: opening does not wait for the other side then, and
	// reading does not end when it closes.
	ready, err := os.OpenFile(fifo, os.O_RDWR, 0)
	ts.Check(err)
	defer ready.Close()
	var stdout, stderr bytes.Buffer
	cmd := command(ts, args[2:])
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
		_ = ready.SetReadDeadline(time.Unix(1, 0)) // nobody will write any more
	}()
	ts.Check(ready.SetReadDeadline(time.Now().Add(patience)))
	if _, err := ready.Read(make([]byte, 64)); err != nil {
		_ = cmd.Process.Kill()
		<-ended
		ts.Fatalf("%s was never ready: %v\n%s%s", args[2], err, &stdout, &stderr)
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	select {
	case <-ended:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-ended
		ts.Fatalf("%s did not end within %s of SIGINT", args[2], patience)
	}
	writeFile(ts, "interrupted.out", stdout.Bytes())
	writeFile(ts, "interrupted.err", stderr.Bytes())
	if got := cmd.ProcessState.ExitCode(); strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s\n%s%s", got, args[0], &stdout, &stderr)
	}
}

// terminal CODE COLUMNS INPUT PROGRAM ARGS… runs a program on a terminal of its
// own, types the content of the file INPUT, and writes what the terminal shows
// to the file "screen". In INPUT, ^C stands for the key; each line is typed
// when the screen has shown the text before "⇐" in it.
func terminal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: terminal code columns input program args…")
	}
	columns, err := strconv.ParseUint(args[1], 10, 16)
	ts.Check(err)
	ctrl, tty, err := openTerminal(uint16(columns))
	ts.Check(err)
	defer ctrl.Close()
	cmd := command(ts, args[3:])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	tty.Close()
	ts.Check(err)
	stop := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer stop.Stop()
	var screen bytes.Buffer
	failure := typeIn(ctrl, &screen, ts.ReadFile(args[2]))
	// The last process that has the terminal open ends the copy (EIO).
	_, _ = io.Copy(&screen, ctrl)
	_ = cmd.Wait()
	writeFile(ts, "screen", screen.Bytes())
	if failure != nil {
		ts.Fatalf("%v; the screen shows\n%s", failure, &screen)
	}
	if got := cmd.ProcessState.ExitCode(); strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s; the screen shows\n%s", got, args[0], &screen)
	}
}

func typeIn(ctrl *os.File, screen *bytes.Buffer, input string) error {
	from := 0
	for line := range strings.Lines(input) {
		wait, keys, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "⇐")
		if !ok {
			return fmt.Errorf("input line %q has no ⇐", line)
		}
		for !bytes.Contains(screen.Bytes()[from:], []byte(wait)) {
			buf := make([]byte, 4096)
			n, err := ctrl.Read(buf)
			screen.Write(buf[:n])
			if err != nil {
				return fmt.Errorf("waiting for %q: %w", wait, err)
			}
		}
		from = screen.Len()
		keys = strings.NewReplacer("^C", "\x03", "^Z", "\x1a", "^D", "\x04", "↵", "\r").Replace(keys)
		if _, err := io.WriteString(ctrl, keys); err != nil {
			return err
		}
	}
	return nil
}

func openTerminal(columns uint16) (ctrl, tty *os.File, err error) {
	// Without O_NONBLOCK the runtime could not interrupt a read.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("opening /dev/ptmx: %w", err)
	}
	ctrl = os.NewFile(uintptr(fd), "/dev/ptmx")
	defer func() {
		if err != nil {
			ctrl.Close()
		}
	}()
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, fmt.Errorf("unlocking the terminal: %w", err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, fmt.Errorf("asking for the terminal's number: %w", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		return nil, nil, fmt.Errorf("setting the terminal's size: %w", err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	return ctrl, tty, err
}

// command is a program with the script's folder and environment.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	path := args[0]
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if file := filepath.Join(dir, args[0]); !strings.Contains(args[0], "/") && executable(file) {
			path = file
			break
		}
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TERM", "NO_COLOR", "GORACE", "WORK"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	return cmd
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func writeFile(ts *testscript.TestScript, name string, content []byte) {
	ts.Check(os.WriteFile(ts.MkAbs(name), content, 0o600))
}

// fill FILE BYTES makes a large file of text.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fill file bytes")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	writeFile(ts, args[0], bytes.Repeat([]byte("# aaaaa\n"), n/8))
}

// json FILE PATH VALUE demands a value in a JSON document, as fmt prints it;
// PATH is of keys and indices with dots between them, and "len" for a length.
func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: json file path value")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	for step := range strings.SplitSeq(args[1], ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[step]
		case []any:
			i, err := strconv.Atoi(step)
			switch {
			case step == "len":
				v = len(in)
			case err != nil || i >= len(in):
				ts.Fatalf("%s: a list of %d has no %q", args[1], len(in), step)
			default:
				v = in[i]
			}
		default:
			ts.Fatalf("%s: there is nothing at %q", args[1], step)
		}
	}
	if got := fmt.Sprint(v); got != args[2] {
		ts.Fatalf("%s is %q, want %q", args[1], got, args[2])
	}
}

// junit FILE TESTS FAILURES ERRORS demands a report whose counts are those of
// its cases.
func isJUnit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: junit file tests failures errors")
	}
	type suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Cases    []struct {
			Name    string    `xml:"name,attr"`
			Class   string    `xml:"classname,attr"`
			Time    float64   `xml:"time,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
		} `xml:"testcase"`
	}
	var report struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []suite  `xml:"testsuite"`
	}
	ts.Check(xml.Unmarshal([]byte(ts.ReadFile(args[0])), &report))
	var tests, failures, faults int
	for _, s := range report.Suites {
		f, e := 0, 0
		for _, c := range s.Cases {
			if c.Name == "" || c.Class == "" {
				ts.Fatalf("a case has no name or class: %+v", c)
			}
			if c.Failure != nil {
				f++
			}
			if c.Error != nil {
				e++
			}
		}
		if s.Tests != len(s.Cases) || s.Failures != f || s.Errors != e {
			ts.Fatalf("a suite counts %d tests, %d failures, %d errors and has %d, %d, %d", s.Tests, s.Failures, s.Errors, len(s.Cases), f, e)
		}
		tests, failures, faults = tests+len(s.Cases), failures+f, faults+e
	}
	if got, want := fmt.Sprint([]int{tests, failures, faults}), "["+strings.Join(args[1:], " ")+"]"; got != want {
		ts.Fatalf("tests, failures, errors are %s, want %s", got, want)
	}
}

// pcap FILE PROTOCOL:PORT… demands a packet to each of the ports.
func isPCAP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pcap file protocol:port…")
	}
	r, err := pcapgo.NewReader(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	seen := map[string]int{}
	for {
		raw, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		ts.Check(err)
		p := gopacket.NewPacket(raw, r.LinkType(), gopacket.Default)
		switch l := p.TransportLayer().(type) {
		case *layers.TCP:
			seen[fmt.Sprintf("tcp:%d", binary.BigEndian.Uint16(l.Contents[2:]))]++
		case *layers.UDP:
			seen[fmt.Sprintf("udp:%d", binary.BigEndian.Uint16(l.Contents[2:]))]++
		}
	}
	for _, want := range args[1:] {
		if seen[want] == 0 {
			ts.Fatalf("no packet to %s: %v", want, seen)
		}
	}
}
