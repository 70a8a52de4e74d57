package topology

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
)

//go:embed bases/*.yaml
var baseFiles embed.FS

// Bases are the names of the built-in healthy topologies, sorted.
func Bases() []string {
	entries, err := fs.ReadDir(baseFiles, "bases")
	if err != nil {
		return nil // the folder is part of the program
	}
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	return out
}

// Base is a built-in healthy topology, with defaults filled.
func Base(name string) (Topology, error) {
	tree, err := baseTree(name)
	if err != nil {
		return Topology{}, err
	}
	t, err := topologyOf(tree)
	if err != nil {
		return Topology{}, fmt.Errorf("base %s: %w", name, err)
	}
	return t.WithDefaults(), nil
}

// BaseText is the YAML of a built-in topology, with its picture.
func BaseText(name string) (string, error) {
	raw, err := baseFiles.ReadFile("bases/" + name + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("unknown base %q; want %s", name, oneOf(Bases()))
	}
	if err != nil {
		return "", fmt.Errorf("reading base %s: %w", name, err)
	}
	return string(raw), nil
}

func baseTree(name string) (map[string]any, error) {
	text, err := BaseText(name)
	if err != nil {
		return nil, err
	}
	d := parse("bases/"+name+".yaml", []byte(text), reflect.TypeFor[Topology]())
	if err := join(d.problems); err != nil {
		return nil, err
	}
	return d.tree, nil
}
