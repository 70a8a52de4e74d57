package host

import "golang.org/x/sys/windows"

var (
	winRefused     = []error{windows.WSAECONNREFUSED}
	winReset       = []error{windows.WSAECONNRESET, windows.WSAECONNABORTED}
	winHostUnreach = []error{windows.WSAEHOSTUNREACH, windows.WSAEHOSTDOWN}
	winNetUnreach  = []error{windows.WSAENETUNREACH}
)
