package stream

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// MaxHello bounds what is read while looking for a ClientHello. RFC 8446
// section 4 allows a handshake message of 16 MiB; crypto/tls, and everything
// seen in the field, stays below 64 KiB.
const MaxHello = 80 << 10

// ErrNotTLS says that the first byte is not that of a TLS handshake record
// (RFC 8446 section 5.1: 22).
var ErrNotTLS = errors.New("not a TLS ClientHello")

// Hello is what a middlebox can learn before any key is agreed on.
type Hello struct {
	// ServerName of the server_name extension (RFC 6066 section 3), empty if
	// there is none. With encrypted ClientHello it is the outer name.
	ServerName string
	// Protocols offered by ALPN (RFC 7301), in the client's order.
	Protocols []string
}

// ReadHello reads one ClientHello from r. It may span any number of segments
// and TLS records. Whatever it returns, raw is every byte that was taken from
// r, so that a caller can pass them on.
//
// The parser is crypto/tls's own.
func ReadHello(r io.Reader) (hello Hello, raw []byte, err error) {
	var seen bytes.Buffer
	limited := io.TeeReader(io.LimitReader(r, MaxHello), &seen)
	var first [1]byte
	if _, err := io.ReadFull(limited, first[:]); err != nil {
		return Hello{}, seen.Bytes(), fmt.Errorf("reading the first byte: %w", err)
	}
	const handshakeRecord = 22
	if first[0] != handshakeRecord {
		return Hello{}, seen.Bytes(), ErrNotTLS
	}
	found := false
	conn := &helloConn{r: io.MultiReader(bytes.NewReader(first[:]), limited)}
	err = tls.Server(conn, &tls.Config{
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			found = true
			hello = Hello{ServerName: info.ServerName, Protocols: info.SupportedProtos}
			return nil, errEnough
		},
	}).Handshake()
	if found {
		return hello, seen.Bytes(), nil
	}
	return Hello{}, seen.Bytes(), fmt.Errorf("reading a ClientHello: %w", err)
}

var errEnough = errors.New("enough read")

// helloConn lets crypto/tls read a ClientHello and swallows the alert that it
// answers with.
type helloConn struct {
	net.Conn // nil: no other method is called before the handshake ends
	r        io.Reader
}

func (c *helloConn) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c *helloConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *helloConn) Close() error                     { return nil }
func (c *helloConn) SetDeadline(time.Time) error      { return nil }
func (c *helloConn) SetReadDeadline(time.Time) error  { return nil }
func (c *helloConn) SetWriteDeadline(time.Time) error { return nil }
func (c *helloConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *helloConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
