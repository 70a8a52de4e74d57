package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/acrlab/acrlab/harness/fabric"
)

// Engine is a container engine as found on the machine. It runs on a client
// host of a network unmodified, so what it says is what users report.
type Engine struct {
	// Name is "docker", "containerd" or "skopeo".
	Name string
	// Missing says why the engine cannot be used here and which command mends
	// that; empty when it can.
	Missing string

	// daemon engines take the host's daemon environment: proxies that a shell
	// has do not apply to what a daemon pulls.
	daemon bool
	pull   string // shell script, see scripts.go
	login  string // empty: the engine has no login of its own
}

// requirement is a program that an engine needs and what installs it on Debian
// and Ubuntu.
type requirement struct{ program, install string }

type candidate struct {
	Engine
	root     bool
	programs []requirement
}

func candidates() []candidate {
	return []candidate{
		{Engine: Engine{Name: "docker", daemon: true, pull: dockerDaemon + dockerPull, login: dockerDaemon + dockerLogin}, root: true,
			programs: []requirement{{"dockerd", "apt-get install docker.io"}, {"docker", "apt-get install docker-cli"}, {"containerd", "apt-get install containerd"}}},
		{Engine: Engine{Name: "containerd", daemon: true, pull: containerdPull},
			programs: []requirement{{"containerd", "apt-get install containerd"}, {"ctr", "apt-get install containerd"}}},
		{Engine: Engine{Name: "skopeo", pull: skopeoPull, login: skopeoLogin},
			programs: []requirement{{"skopeo", "apt-get install skopeo"}}},
	}
}

// Find looks for every engine that is known, in a fixed order. Those that
// cannot be used say why.
func Find() []Engine {
	return find(exec.LookPath, isRoot())
}

func find(lookPath func(string) (string, error), root bool) []Engine {
	var out []Engine
	for _, c := range candidates() {
		e := c.Engine
		for _, p := range c.programs {
			if _, err := lookPath(p.program); err != nil {
				e.Missing = fmt.Sprintf("%s is not installed; try: sudo %s", p.program, p.install)
				break
			}
		}
		if e.Missing == "" && c.root && !root {
			e.Missing = c.programs[0].program + " needs root; try again with sudo"
		}
		out = append(out, e)
	}
	return out
}

// isRoot says whether this is the machine's root. Root of a user namespace that
// holds one user is not: dockerd gives its socket to a group that does not
// exist there (user_namespaces(7), uid_map).
func isRoot() bool {
	raw, err := os.ReadFile("/proc/self/uid_map")
	fields := strings.Fields(string(raw))
	single := err == nil && len(fields) == 3 && fields[2] == "1"
	return os.Geteuid() == 0 && !single
}

// Credentials log an engine in before it does anything else. The zero value
// leaves it to what the host's files say.
type Credentials struct{ Username, Password string }

// Result is what an engine wrote and how it ended: 0 for success, 125 when its
// daemon did not start.
type Result struct {
	Stdout, Stderr string
	ExitCode       int
}

// Pull pulls an image on a host. An engine that fails to pull is not an error:
// see Result.ExitCode.
func (e Engine) Pull(ctx context.Context, w fabric.World, host, image string, c Credentials) (Result, error) {
	cmd, err := e.PullCommand(image, c)
	if err != nil {
		return Result{}, err
	}
	return e.run(ctx, w, host, cmd)
}

// Login logs in to a registry on a host.
func (e Engine) Login(ctx context.Context, w fabric.World, host, registry string, c Credentials) (Result, error) {
	cmd, err := e.LoginCommand(registry, c)
	if err != nil {
		return Result{}, err
	}
	return e.run(ctx, w, host, cmd)
}

func (e Engine) run(ctx context.Context, w fabric.World, host string, cmd *fabric.Command) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := w.Run(ctx, host, cmd)
	res := Result{Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: cmd.ExitCode}
	if err != nil {
		return res, fmt.Errorf("running %s on %s: %w", e.Name, host, err)
	}
	return res, nil
}

// PullCommand is the program that pulls an image; it starts the engine's daemon
// and ends it.
func (e Engine) PullCommand(image string, c Credentials) (*fabric.Command, error) {
	switch {
	case e.Missing != "":
		return nil, fmt.Errorf("pulling with %s: %s", e.Name, e.Missing)
	case image == "" || strings.HasPrefix(image, "-"):
		return nil, fmt.Errorf("pulling with %s: %q is not an image", e.Name, image)
	}
	return e.command(e.pull, qualify(image), c), nil
}

// LoginCommand is the program that logs in to a registry.
func (e Engine) LoginCommand(registry string, c Credentials) (*fabric.Command, error) {
	switch {
	case e.Missing != "":
		return nil, fmt.Errorf("logging in with %s: %s", e.Name, e.Missing)
	case e.login == "":
		return nil, fmt.Errorf("logging in with %s: it has no login command", e.Name)
	case registry == "" || strings.HasPrefix(registry, "-"):
		return nil, fmt.Errorf("logging in with %s: %q is not a registry", e.Name, registry)
	case c.Username == "":
		return nil, errors.New("logging in with " + e.Name + ": no user name is given")
	}
	return e.command(e.login, registry, c), nil
}

// command passes everything that varies as arguments and environment, so that
// nothing is quoted into the script.
func (e Engine) command(script, object string, c Credentials) *fabric.Command {
	cmd := &fabric.Command{
		Args:   []string{"/bin/sh", "-c", preamble + script, "acrlab-" + e.Name, object},
		Daemon: e.daemon,
	}
	if c.Username != "" {
		cmd.Env = map[string]string{"ACRLAB_USERNAME": c.Username, "ACRLAB_PASSWORD": c.Password}
	}
	return cmd
}

// qualify adds the tag that ctr, unlike docker, does not assume.
func qualify(image string) string {
	last := image[strings.LastIndex(image, "/")+1:]
	if strings.ContainsAny(last, ":@") {
		return image
	}
	return image + ":latest"
}
