package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/scenarios"
)

// catalogue is where scenarios are looked for.
type catalogue struct {
	dir string // empty: the ones built in
}

func catalogueOf(cmd *cobra.Command) catalogue {
	if dir, _ := cmd.Flags().GetString("catalogue"); dir != "" {
		return catalogue{dir}
	}
	if found, _ := filepath.Glob(filepath.Join("scenarios", "*", topology.FileName)); len(found) > 0 {
		return catalogue{"scenarios"}
	}
	return catalogue{}
}

// all loads every scenario, sorted by id.
func (c catalogue) all() ([]*topology.Scenario, error) {
	if c.dir != "" {
		list, err := topology.LoadAll(c.dir)
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("%s holds no scenario: a scenario is a folder with a %s", c.dir, topology.FileName)
		}
		return list, err
	}
	entries, err := fs.ReadDir(scenarios.FS, ".")
	if err != nil {
		return nil, err
	}
	var list []*topology.Scenario
	for _, e := range entries {
		s, err := builtIn(e.Name())
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func builtIn(id string) (*topology.Scenario, error) {
	file := path.Join(id, topology.FileName)
	raw, err := scenarios.FS.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("there is no scenario %q: acrlab list shows the catalogue", id)
	}
	return topology.Decode(file, id, raw)
}

// find loads one scenario by id or folder.
func (c catalogue) find(name string) (*topology.Scenario, error) {
	if c.dir != "" {
		return topology.Find(c.dir, name)
	}
	if s, err := builtIn(name); err == nil {
		return s, nil
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return topology.Load(name)
	}
	_, err := builtIn(name)
	return nil, err
}

// choose loads what the arguments name: scenario ids, folders of a scenario, or
// folders that hold scenarios. No arguments: all.
func (c catalogue) choose(args []string) ([]*topology.Scenario, error) {
	if len(args) == 0 {
		return c.all()
	}
	var list []*topology.Scenario
	var errs []error
	for _, a := range args {
		some, err := c.named(a)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, some...)
	}
	seen := map[string]bool{}
	list = slices.DeleteFunc(list, func(s *topology.Scenario) bool {
		key := s.Dir + "\x00" + s.ID
		defer func() { seen[key] = true }()
		return seen[key]
	})
	return list, errors.Join(errs...)
}

func (c catalogue) named(arg string) ([]*topology.Scenario, error) {
	if strings.ContainsRune(arg, filepath.Separator) || arg == "." || arg == ".." {
		if inner, _ := filepath.Glob(filepath.Join(arg, "*", topology.FileName)); len(inner) > 0 {
			return topology.LoadAll(arg)
		}
	}
	s, err := c.find(arg)
	if err != nil {
		return nil, err
	}
	return []*topology.Scenario{s}, nil
}

// complete offers scenario ids to the shell.
func complete(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	list, err := catalogueOf(cmd).all()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, s := range list {
		out = append(out, s.ID+"\t"+s.Title)
	}
	return out, cobra.ShellCompDirectiveDefault
}
