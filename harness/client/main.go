package client

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"syscall"
)

// Main is the command "acrlab pull IMAGE". It prints digest and sizes and
// returns 0, or an error and 1, or its usage and 2.
func Main(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("pull", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: acrlab pull [--timeout DURATION] IMAGE")
		fs.PrintDefaults()
	}
	timeout := fs.Duration("timeout", defaultTimeout, "give up after this time")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case fs.NArg() != 1 || *timeout <= 0:
		fs.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p, err := Fetch(ctx, fs.Arg(0), Options{Timeout: *timeout})
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "Error: %v\n", err)
		return 1
	}
	_, _ = fmt.Fprintf(stdout, "%s\n", fs.Arg(0))
	_, _ = fmt.Fprintf(stdout, "Digest: %s\n", p.Digest)
	_, _ = fmt.Fprintf(stdout, "Config: %s %d bytes\n", p.Config.Digest, p.Config.Size)
	for _, l := range p.Layers {
		_, _ = fmt.Fprintf(stdout, "Layer:  %s %d bytes\n", l.Digest, l.Size)
	}
	return 0
}
