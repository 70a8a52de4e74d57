// Package stream is what devices in the middle of a TCP connection have in
// common, transparent or explicit: accepting and ending connections, reading a
// ClientHello, copying both ways, terminating TLS.
//
// It decides nothing: which connection may pass is its callers' business.
package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// Replay is conn with bytes that were already read put back in front.
func Replay(conn net.Conn, raw []byte) net.Conn {
	if len(raw) == 0 {
		return conn
	}
	return &replay{Conn: conn, rest: raw}
}

type replay struct {
	net.Conn
	rest []byte
}

func (c *replay) Read(p []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// CloseWrite forwards the half-close of the wrapped connection.
func (c *replay) CloseWrite() error { return CloseWrite(c.Conn) }

// SetLinger forwards to the wrapped connection.
func (c *replay) SetLinger(sec int) error { return setLinger(c.Conn, sec) }

// CloseWrite sends FIN (or close_notify) if conn can half-close, and does
// nothing otherwise.
func CloseWrite(conn net.Conn) error {
	if h, ok := conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return nil
}

func setLinger(conn net.Conn, sec int) error {
	if l, ok := conn.(interface{ SetLinger(int) error }); ok {
		return l.SetLinger(sec)
	}
	return nil
}

// Reset ends conn with a TCP RST (SO_LINGER with time 0, RFC 9293 section 3.6).
func Reset(conn net.Conn) {
	_ = setLinger(conn, 0)
	_ = conn.Close()
}

// Finish ends conn with a FIN: it sends FIN, then takes what the peer still
// sends, since closing a socket with unread bytes would send RST instead
// (RFC 2525 section 2.17).
func Finish(conn net.Conn) {
	_ = CloseWrite(conn)
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
	_ = conn.Close()
}

// Hold keeps conn open and says nothing until the peer goes or ctx ends.
func Hold(ctx context.Context, conn net.Conn) {
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetReadDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close()
}

// Splice copies both ways until both directions have ended, passing on each
// half-close. A connection that was reset is reset on the other side too, as
// if the RST had passed through. Both are closed when it returns or ctx ends.
func Splice(ctx context.Context, a, b net.Conn) {
	defer context.AfterFunc(ctx, func() { _ = a.Close(); _ = b.Close() })()
	_ = a.SetDeadline(time.Time{})
	_ = b.SetDeadline(time.Time{})
	var wg sync.WaitGroup
	wg.Go(func() { pump(b, a) })
	wg.Go(func() { pump(a, b) })
	wg.Wait()
	_ = a.Close()
	_ = b.Close()
}

// pump copies src to dst and passes on how src ended.
func pump(dst, src net.Conn) {
	_, err := io.Copy(dst, src)
	switch {
	case err == nil:
		_ = CloseWrite(dst)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		Reset(dst)
		Reset(src)
	default:
		_ = dst.Close()
		_ = src.Close()
	}
}
