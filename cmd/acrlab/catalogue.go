package main

import (
	"cmp"
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
		return nil, err
	}
	return topology.Decode(file, id, raw)
}

// ids are the names of the scenarios, loaded or not.
func (c catalogue) ids() []string {
	var files fs.FS = scenarios.FS
	if c.dir != "" {
		files = os.DirFS(c.dir)
	}
	found, _ := fs.Glob(files, "*/"+topology.FileName)
	for i, f := range found {
		found[i] = path.Dir(f)
	}
	return found
}

// find loads one scenario by id or folder.
func (c catalogue) find(name string) (*topology.Scenario, error) {
	if slices.Contains(c.ids(), name) {
		if c.dir == "" {
			return builtIn(name)
		}
		return topology.Load(filepath.Join(c.dir, name))
	}
	dir := name
	if filepath.Base(dir) == topology.FileName {
		dir = filepath.Dir(dir)
	}
	info, err := os.Stat(dir)
	switch {
	case err == nil && info.IsDir():
		return topology.Load(dir)
	case err == nil:
		return nil, fmt.Errorf("%q is no folder: a scenario is a folder with a %s", name, topology.FileName)
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsRune(name, filepath.Separator):
		return nil, fmt.Errorf("there is no folder %q", name)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no scenario %q%s", name, cmp.Or(topology.DidYouMean(name, c.ids()), "; acrlab list shows the catalogue"))
	}
	return nil, fmt.Errorf("looking for scenario %q: %w", name, err)
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
	if !slices.Contains(c.ids(), arg) && holdsScenarios(arg) {
		return topology.LoadAll(arg)
	}
	s, err := c.find(arg)
	if err != nil {
		return nil, err
	}
	return []*topology.Scenario{s}, nil
}

// holdsScenarios tells a folder of scenarios from a scenario.
func holdsScenarios(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, topology.FileName)); err == nil {
		return false
	}
	inner, _ := fs.Glob(os.DirFS(dir), "*/"+topology.FileName)
	return len(inner) > 0
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
