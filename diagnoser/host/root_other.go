//go:build !linux

package host

import (
	"os"
	"path/filepath"
)

func openInRoot(root, path string) (*os.File, error) { return os.Open(filepath.Join(root, path)) }

func openRegular(path string) (*os.File, error) { return os.Open(path) }
