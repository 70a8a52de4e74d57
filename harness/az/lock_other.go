//go:build !unix

package az

import (
	"context"
	"errors"
)

func lock(context.Context, string) (func() error, error) {
	return nil, errors.New("the Azure CLI is installed for networks of Linux namespaces only, and this is no Unix")
}
