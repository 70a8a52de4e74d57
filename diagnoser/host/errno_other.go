//go:build !windows

package host

var winRefused, winReset, winHostUnreach, winNetUnreach []error
