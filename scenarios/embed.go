// Package scenarios is the catalogue: one folder a scenario. It is compiled
// into acrlab so that the program can be used without a checkout.
package scenarios

import "embed"

// FS holds every folder's files.
//
//go:embed */scenario.yaml
var FS embed.FS
