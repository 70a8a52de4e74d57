package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/acrlab/acrlab/harness/prove/sentence"
)

// maxAddresses bounds how many addresses of a name are tried.
const maxAddresses = 4

// addresses of a name as the host resolves it; a literal address is itself.
func (e eye) addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}, nil
	}
	l, err := e.ask(ctx, netip.Addr{}, name, patience)
	if err != nil {
		return nil, err
	}
	if len(l.addresses) == 0 {
		return nil, fmt.Errorf("%s cannot resolve %s: %s", e.host.Name, name, l)
	}
	return l.addresses[:min(len(l.addresses), maxAddresses)], nil
}

// connects checks a TCP handshake with every address of the name: a fault that
// only one of them has would not stop a client that tries the next.
func (e eye) connects(ctx context.Context, s sentence.Sentence) error {
	addresses, err := e.addresses(ctx, s.Name)
	if err != nil {
		return err
	}
	wait := patience
	if s.Outcome == sentence.NoAnswer {
		wait = silence
	}
	for _, a := range addresses {
		to := netip.AddrPortFrom(a, s.Port)
		got, detail := e.handshake(ctx, to, wait)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("connecting to %s: %w", to, err)
		}
		if got != s.Outcome {
			return fmt.Errorf("%s, connecting to %s at %s: %s%s", e.host.Name, s.Name, to, said(got), detail)
		}
	}
	return nil
}

func (e eye) handshake(ctx context.Context, to netip.AddrPort, wait time.Duration) (sentence.Outcome, string) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := e.world.Dial(ctx, e.host.Name, "tcp", to.String())
	if err == nil {
		_ = conn.Close()
		return sentence.Connected, ""
	}
	return failure(err), fmt.Sprintf(" (%v)", err)
}

// failure sorts the error of a connection attempt.
func failure(err error) sentence.Outcome {
	var netErr net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return sentence.Reset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EACCES):
		return sentence.Unreachable
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return sentence.Closed
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return sentence.NoAnswer
	case errors.As(err, &netErr) && netErr.Timeout():
		return sentence.NoAnswer
	}
	return ""
}

// said is an outcome in the words of a message.
func said(o sentence.Outcome) string {
	switch o {
	case sentence.Connected:
		return "it connected"
	case sentence.Reset:
		return "it was refused"
	case sentence.Unreachable:
		return "it was told that the address is unreachable"
	case sentence.NoAnswer:
		return "nothing came back"
	case sentence.Closed:
		return "the connection was closed"
	case "":
		return "it failed"
	}
	return "it saw " + string(o)
}

// dial connects to the first address that answers, within ctx.
func (e eye) dial(ctx context.Context, name string, port uint16) (net.Conn, error) {
	addresses, err := e.addresses(ctx, name)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range addresses {
		conn, err := e.world.Dial(ctx, e.host.Name, "tcp", netip.AddrPortFrom(a, port).String())
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("%s cannot connect to %s:%d: %w", e.host.Name, name, port, errors.Join(errs...))
}
