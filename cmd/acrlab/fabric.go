package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/service"
	"github.com/acrlab/acrlab/harness/subject"
	"github.com/acrlab/acrlab/harness/world"
)

// enter makes this process one that can build networks. In the outer process
// it does not return: the same command goes on inside.
func enter() error {
	if err := netns.Enter(); err != nil {
		return harness(fmt.Errorf("%w (acrlab doctor says more)", err))
	}
	return nil
}

// namespaces is the fabric of Linux network namespaces.
func namespaces() world.Fabric {
	return func(set *service.Set) fabric.Driver {
		return &netns.Driver{Services: set, Authorities: set}
	}
}

// self is the path of this program, for running it on a host.
func self() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", harness(fmt.Errorf("finding the path of this program: %w", err))
	}
	return path, nil
}

// diagnoserOf is acrlab's own diagnoser or a command of the user's.
func diagnoserOf(spec string) (subject.Diagnoser, error) {
	if spec == "" || spec == "acrlab" {
		path, err := self()
		return subject.Diagnoser{Name: "acrlab", Command: []string{path, "diagnose", "--format", "json"}}, err
	}
	if strings.TrimSpace(spec) == "" {
		return subject.Diagnoser{}, usage(fmt.Errorf("--diagnoser %q: want acrlab or a command", spec))
	}
	// A shell splits and unquotes the command as the user expects of one.
	return subject.Diagnoser{Name: spec, Command: []string{"/bin/sh", "-c", spec + ` "$@"`, "diagnoser"}}, nil
}
