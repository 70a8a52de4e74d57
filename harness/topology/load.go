package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// FileName is the file that makes a folder a scenario.
const FileName = "scenario.yaml"

// Load reads the scenario in a folder. The error names every mistake that was
// found, one line each, as "file:line:column: what is wrong"; each is a
// [*Problem].
func Load(dir string) (*Scenario, error) {
	file := filepath.Join(dir, FileName)
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("loading the scenario in %s: %w", dir, err)
	}
	id := filepath.Base(abs)
	raw, err := readFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no scenario: it holds no %s", dir, FileName)
	}
	if err != nil {
		return nil, err
	}
	s, err := Decode(file, id, raw)
	if err != nil {
		return nil, err
	}
	s.Dir = dir
	return s, nil
}

// readFile reads a regular file of bounded size. Other errors than
// [fs.ErrNotExist] are problems of the file.
func readFile(file string) ([]byte, error) {
	wrong := func(format string, a ...any) error { return &Problem{File: file, Message: fmt.Sprintf(format, a...)} }
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, wrong("cannot be read: %v", reason(err))
	case info.IsDir():
		return nil, wrong("is a folder; a scenario is a file of that name")
	case !info.Mode().IsRegular():
		return nil, wrong("is not a regular file")
	case info.Size() > maxSize:
		return nil, wrong("has %d bytes; a scenario has at most %d", info.Size(), maxSize)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, wrong("cannot be read: %v", reason(err))
	}
	return raw, nil
}

// reason is an error of the file system without the path, which is said already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Decode reads a scenario from the content of its file. file is used in
// messages alone; id is the name of the scenario's folder.
func Decode(file, id string, raw []byte) (*Scenario, error) {
	d := parse(file, raw, reflect.TypeFor[Scenario](), "setup", "change")
	if len(d.tree) == 0 && len(d.problems) == 0 {
		d.problem(nil, "the file is empty; a scenario needs title and base")
	}
	if !scenarioName.MatchString(id) {
		d.problem(nil, "the folder is called %q; a scenario's name is lower-case letters and digits in words joined by single dashes", id)
	}
	if len(d.problems) > 0 {
		return nil, join(d.problems)
	}
	s := &Scenario{}
	if err := fill(reflect.ValueOf(s), d.tree); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s.ID, s.File, s.Dir = id, file, filepath.Dir(file)
	if s.Base == "" {
		d.problem(nil, "base is missing; want %s", oneOf(Bases()))
		return nil, join(d.problems)
	}
	if err := s.derive(d); err != nil {
		return nil, err
	}
	return s, nil
}

// derive works out Healthy and Broken and validates everything.
func (s *Scenario) derive(d *document) error {
	base, err := baseTree(s.Base)
	if err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	setup, _ := d.tree["setup"].(map[string]any)
	change, _ := d.tree["change"].(map[string]any)
	healthyTree, _ := mergePatch(base, setup).(map[string]any)
	brokenTree, _ := mergePatch(healthyTree, change).(map[string]any)
	for _, p := range deadRemovals(base, setup, path{"setup"}) {
		at, _ := d.place(p)
		d.problem(at, "%s is removed, but base %s has no such key", p, s.Base)
	}
	for _, p := range deadRemovals(healthyTree, change, path{"change"}) {
		at, _ := d.place(p)
		d.problem(at, "%s is removed, but there is no such key before the change", p)
	}
	healthy, err := topologyOf(healthyTree)
	if err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	broken, err := topologyOf(brokenTree)
	if err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	s.Healthy = healthy.WithDefaults()
	s.Broken = broken.withDefaults(&s.Healthy)
	if len(change) > 0 && reflect.DeepEqual(s.Healthy, s.Broken) {
		at, _ := d.place(path{"change"})
		d.problem(at, "the change changes nothing: the topology holds these values before it")
	}
	s.check(d)
	return join(d.problems)
}

// LoadAll reads every scenario under root, sorted by id. A folder without a
// scenario.yaml is an error; plain files and folders whose names begin with a
// dot or underscore, or that are called testdata, are passed over.
// On errors the scenarios that could be read are returned as well.
func LoadAll(root string) ([]*Scenario, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("listing the scenarios in %s: %w", root, err)
	}
	var out []*Scenario
	var errs []error
	for _, e := range entries { // sorted by name
		if skipped(root, e) {
			continue
		}
		s, err := Load(filepath.Join(root, e.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, s)
	}
	return out, errors.Join(errs...)
}

func skipped(root string, e fs.DirEntry) bool {
	name := e.Name()
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" {
		return true
	}
	info, err := os.Stat(filepath.Join(root, name)) // follows symbolic links
	return err != nil || !info.IsDir()
}

// Find loads the scenario called nameOrDir: a folder of root, or else any
// folder on disk that holds a scenario.yaml.
func Find(root, nameOrDir string) (*Scenario, error) {
	if scenarioName.MatchString(nameOrDir) {
		dir := filepath.Join(root, nameOrDir)
		if _, err := os.Stat(filepath.Join(dir, FileName)); err == nil {
			return Load(dir)
		}
	}
	dir := nameOrDir
	if filepath.Base(dir) == FileName {
		dir = filepath.Dir(dir)
	}
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return Load(dir)
	}
	names := names(root)
	return nil, fmt.Errorf("there is no scenario %q in %s and no such folder%s", nameOrDir, root, didYouMean(nameOrDir, names))
}

// names are the folders of root that look like scenarios, for suggestions.
func names(root string) []string {
	entries, _ := os.ReadDir(root)
	var out []string
	for _, e := range entries {
		if e.IsDir() && scenarioName.MatchString(e.Name()) {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out)
	return out
}
