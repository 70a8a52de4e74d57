//go:build linux

package netns

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"
)

// snapLength is longer than any packet: veth carries up to 64 KiB at once when
// segmentation is offloaded.
const snapLength = 1 << 18

// capture writes what a packet socket sees until it is stopped.
type capture struct {
	file *os.File
	out  *pcapgo.Writer
	done chan struct{}
	err  error
	once sync.Once
}

// capture sees all interfaces of the host, lo included. Each packet that the
// host forwards is seen twice: coming in and going out.
func (h *host) capture(w io.Writer) (*capture, error) {
	c := &capture{out: pcapgo.NewWriterNanos(w), done: make(chan struct{})}
	if err := c.out.WriteFileHeader(snapLength, layers.LinkTypeEthernet); err != nil {
		return nil, fmt.Errorf("writing the file header: %w", err)
	}
	fd := -1
	err := h.within(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(networkOrder(unix.ETH_P_ALL)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening a packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("setting the buffer of the packet socket: %w", err)
	}
	c.file = os.NewFile(uintptr(fd), "packet socket")
	go c.run()
	return c, nil
}

func (c *capture) run() {
	defer close(c.done)
	raw, err := c.file.SyscallConn()
	if err != nil {
		c.err = err
		return
	}
	buf := make([]byte, snapLength)
	for c.err == nil {
		err := raw.Read(func(fd uintptr) bool { return c.drain(int(fd), buf) })
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// Stopped. What was sent before is in the buffer by now.
			_ = raw.Control(func(fd uintptr) { c.drain(int(fd), buf) })
			return
		}
		if err != nil && c.err == nil {
			c.err = fmt.Errorf("reading packets: %w", err)
		}
	}
}

// drain writes what the socket holds; false asks to be called when there is more.
func (c *capture) drain(fd int, buf []byte) bool {
	for {
		n, from, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
			continue
		case err != nil:
			c.err = fmt.Errorf("reading packets: %w", err)
			return true
		}
		ll, _ := from.(*unix.SockaddrLinklayer)
		if ll != nil && ll.Ifindex == loopback.Index && ll.Pkttype == unix.PACKET_OUTGOING {
			continue // comes in again
		}
		info := gopacket.CaptureInfo{Timestamp: time.Now(), Length: n, CaptureLength: min(n, len(buf))}
		if err := c.out.WritePacket(info, buf[:info.CaptureLength]); err != nil {
			c.err = fmt.Errorf("writing a packet: %w", err)
			return true
		}
	}
}

// stop ends the capture after what has been seen is written.
func (c *capture) stop() error {
	c.once.Do(func() {
		_ = c.file.SetReadDeadline(time.Unix(1, 0))
		<-c.done
		if err := c.file.Close(); c.err == nil {
			c.err = err
		}
	})
	return c.err
}

func networkOrder(v uint16) uint16 { return v<<8 | v>>8 }
