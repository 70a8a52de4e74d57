package proxy

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// Answers have the form of squid's, the most common proxy of companies: its
// headers, its error names, its status codes. In particular a name that does
// not resolve and a server that does not answer are both 503
// (https://wiki.squid-cache.org, errors/ERR_DNS_FAIL and ERR_CONNECT_FAIL).
const (
	software    = "squid/5.7"
	visibleName = "proxy.corp.example"
	realm       = "Corp Example Internet Access"
)

// response is one answer of the proxy itself.
type response struct {
	status int
	code   string // squid's name for the error, with its errno
	title  string
	what   string // one paragraph, plain text
	header http.Header
}

func accessDenied(to target) response {
	return response{status: http.StatusForbidden, code: "ERR_ACCESS_DENIED 0", title: "Access Denied",
		what: "Access control configuration prevents your request to " + to.url + " from being allowed at this time. Please contact your service provider if you feel this is incorrect."}
}

func authenticationRequired(to target) response {
	return response{status: http.StatusProxyAuthRequired, code: "ERR_CACHE_ACCESS_DENIED 0", title: "Cache Access Denied",
		what:   "Sorry, you are not currently allowed to request " + to.url + " from this cache until you have authenticated yourself.",
		header: http.Header{"Proxy-Authenticate": {`Basic realm="` + realm + `"`}}}
}

func dnsFailed(to target, why string) response {
	return response{status: http.StatusServiceUnavailable, code: "ERR_DNS_FAIL 0", title: "The requested URL could not be retrieved",
		what: "Unable to determine IP address from host name " + to.host + ". The DNS server returned: " + why}
}

// connectFailed carries the system's error number like squid does: 110 timed
// out, 111 refused, 113 no route to host.
func connectFailed(to target, err error) response {
	var errno syscall.Errno
	var ne net.Error
	number, text := 0, "Unknown error"
	if errors.As(err, &errno) {
		number, text = int(errno), errno.Error()
	} else if errors.As(err, &ne) && ne.Timeout() {
		number, text = int(syscall.ETIMEDOUT), syscall.ETIMEDOUT.Error()
	}
	return response{status: http.StatusServiceUnavailable, code: fmt.Sprintf("ERR_CONNECT_FAIL %d", number), title: "The requested URL could not be retrieved",
		what: fmt.Sprintf("Connection to %s failed. The system returned: (%d) %s. The remote host or network may be down. Please try the request again.", to.host, number, text)}
}

func zeroSize(url string) response {
	return response{status: http.StatusBadGateway, code: "ERR_ZERO_SIZE_OBJECT 0", title: "The requested URL could not be retrieved",
		what: "Squid did not receive any data for the request to " + url + "."}
}

func lengthRequired() response {
	return response{status: http.StatusLengthRequired, code: "ERR_INVALID_REQ 0", title: "Invalid Request",
		what: "A request body of unknown length is not forwarded."}
}

func badRequest(err error) response {
	return response{status: http.StatusBadRequest, code: "ERR_INVALID_REQ 0", title: "Invalid Request",
		what: "The request could not be understood: " + err.Error() + "."}
}

// answer writes r. Only a demand for credentials leaves the connection open.
func answer(w io.Writer, r response) error {
	title, what := html.EscapeString(r.title), html.EscapeString(r.what)
	body := fmt.Sprintf(`<!DOCTYPE html>
<html><head>
<meta charset="utf-8">
<title>ERROR: %s</title>
</head><body>
<h1>ERROR</h1>
<h2>%s</h2>
<hr>
<p>%s</p>
<p>Your administrator is <a href="mailto:webmaster@corp.example">webmaster@corp.example</a>.</p>
<hr>
<p>Generated %s by %s (%s)</p>
</body></html>
`, title, title, what, time.Now().UTC().Format(http.TimeFormat), visibleName, software)
	connection := "close"
	if r.status == http.StatusProxyAuthRequired {
		connection = "keep-alive"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.status, http.StatusText(r.status))
	fmt.Fprintf(&b, "Server: %s\r\nMime-Version: 1.0\r\nDate: %s\r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: %d\r\n",
		software, time.Now().UTC().Format(http.TimeFormat), len(body))
	fmt.Fprintf(&b, "X-Squid-Error: %s\r\nVary: Accept-Language\r\nContent-Language: en\r\n", r.code)
	for k, values := range r.header {
		for _, v := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", k, v)
		}
	}
	fmt.Fprintf(&b, "X-Cache: MISS from %s\r\nX-Cache-Lookup: NONE from %s:3128\r\nVia: 1.1 %s (%s)\r\nConnection: %s\r\n\r\n%s",
		visibleName, visibleName, visibleName, software, connection, body)
	_, err := io.WriteString(w, b.String())
	return err
}
