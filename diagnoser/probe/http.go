package probe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// userAgent names the diagnoser in the logs of those it asks.
const userAgent = "acrlab-diagnoser"

// client speaks HTTP/1.1 over a connection that stands already, and over
// further ones by the same way if the server closes it. It follows no redirect.
type client struct {
	transport *http.Transport
	mu        sync.Mutex
	first     net.Conn
}

func newClient(first net.Conn, again func(context.Context) (net.Conn, error)) *client {
	c := &client{first: first}
	c.transport = &http.Transport{
		Proxy:              nil, // the way is made already
		DisableCompression: true,
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c.mu.Lock()
			conn := c.first
			c.first = nil
			c.mu.Unlock()
			if conn != nil {
				return conn, nil
			}
			return again(ctx)
		},
		MaxResponseHeaderBytes: 64 << 10,
	}
	return c
}

func (c *client) close() {
	c.mu.Lock()
	conn := c.first
	c.first = nil
	c.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
	c.transport.CloseIdleConnections()
}

// request is what to send.
type request struct {
	method, url string
	header      http.Header
	body        string // form encoded if not empty
	// contentType of the body, if it is no form.
	contentType string
	// limit bounds the body that is read, and sink takes it, if they are set.
	limit int64
	sink  io.Writer
	// secret says that a successful body must not be kept.
	secret bool
}

// answered is an exchange with what the report does not keep.
type answered struct {
	HTTP
	header http.Header
	full   []byte // the body up to request.limit, unless there was a sink
	read   int64  // bytes of the body
	at     time.Time
}

// exchange makes one request. The answer's headers and every further part of
// its body have stageTimeout each.
func (r *run) exchange(ctx context.Context, c *client, q request) *answered {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(stageTimeout, func() { cancel(errStage) })
	defer silence.Stop()

	a := &answered{HTTP: HTTP{Method: q.method, Outcome: "other"}}
	defer func() { a.Took = time.Since(began) }()
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, q.url, body)
	if err != nil {
		a.Err = "the address cannot be requested: " + redactText(err.Error())
		return a
	}
	a.URL = redactURL(req.URL)
	for k, v := range q.header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", userAgent)
	if q.body != "" {
		req.Header.Set("Content-Type", cmp.Or(q.contentType, "application/x-www-form-urlencoded"))
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		a.fail(ctx, err)
		return a
	}
	defer resp.Body.Close()
	a.at = r.h.Now()
	a.Outcome, a.Status, a.header, a.Header = "answered", resp.StatusCode, resp.Header, keep(resp.Header)

	limit := max(q.limit, maxBody)
	var full bytes.Buffer
	sink := io.Writer(&full)
	if q.sink != nil && resp.StatusCode < 300 {
		sink = q.sink
	}
	a.read, err = io.Copy(sink, progress{io.LimitReader(resp.Body, limit+1), silence})
	a.full = full.Bytes()
	if err != nil {
		status := a.Status
		a.fail(ctx, err)
		a.Status = status
		a.Err = "the answer broke off: " + a.Err
	} else if a.read <= limit {
		// Read to the end, so that the connection serves the next request.
		_, _ = io.CopyN(io.Discard, resp.Body, 1)
	}
	if !q.secret || resp.StatusCode >= 300 {
		a.Body = redactText(string(a.full[:min(len(a.full), maxBody)]))
	}
	return a
}

var errStage = errors.New("no answer within " + stageTimeout.String())

// progress gives silence more time with every part that is read.
type progress struct {
	r io.Reader
	t *time.Timer
}

func (p progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if n > 0 && p.t.Stop() {
		p.t.Reset(stageTimeout)
	}
	return n, err
}

func (a *answered) fail(ctx context.Context, err error) {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	a.Err = redactText(err.Error())
	var timeout net.Error
	switch {
	case errors.Is(err, errStage), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		a.Outcome = "silence"
	case host.IsReset(err):
		a.Outcome = "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(a.Err, "server closed"):
		a.Outcome = "closed"
	case strings.Contains(a.Err, "malformed HTTP"):
		a.Outcome = "garbled"
	default:
		a.Outcome = "other"
	}
}

// kept are the headers that tell who answered, in canonical form.
var kept = []string{
	"Server", "Via", "Date", "Content-Type", "Content-Length", "Location", "Www-Authenticate", "Proxy-Authenticate",
	"Docker-Distribution-Api-Version", "Docker-Content-Digest", "Retry-After", "X-Cache", "X-Squid-Error",
	"X-Ms-Correlation-Request-Id", "X-Ms-Request-Id", "X-Ms-Error-Code", "X-Ms-Version", "X-Azure-Ref",
}

func keep(h http.Header) map[string]string {
	m := map[string]string{}
	for _, k := range kept {
		if v := strings.Join(h.Values(k), ", "); v != "" {
			m[k] = headerText(k, v)
		}
	}
	return m
}

func headerText(name, value string) string {
	if len(value) > 1024 {
		value = value[:1024]
	}
	if name == "Location" {
		if u, err := parseLocation(value); err == nil {
			return redactURL(u)
		}
	}
	return redactText(value)
}
