package stream

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// clientHello is what crypto/tls sends first.
func clientHello(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	cfg.InsecureSkipVerify = true
	go func() {
		_ = tls.Client(a, cfg).Handshake()
	}()
	head := make([]byte, 5)
	_, err := io.ReadFull(b, head)
	require.NoError(t, err)
	rest := make([]byte, int(head[3])<<8|int(head[4]))
	_, err = io.ReadFull(b, rest)
	require.NoError(t, err)
	require.NoError(t, b.Close())
	return append(head, rest...)
}

// fragmented spreads one handshake message over records of at most size bytes.
func fragmented(record []byte, size int) []byte {
	var out []byte
	for body := record[5:]; len(body) > 0; {
		n := min(size, len(body))
		out = append(out, record[0], record[1], record[2], byte(n>>8), byte(n))
		out = append(out, body[:n]...)
		body = body[n:]
	}
	return out
}

func TestReadHello(t *testing.T) {
	plain := clientHello(t, &tls.Config{ServerName: "myregistry.azurecr.io", CurvePreferences: []tls.CurveID{tls.X25519}, NextProtos: []string{"h2", "http/1.1"}})
	postQuantum := clientHello(t, &tls.Config{ServerName: "myregistry.azurecr.io", CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519}, NextProtos: []string{"h2", "http/1.1"}})
	require.Greater(t, len(postQuantum), 1400, "more than one segment: else the case below shows nothing")

	for name, in := range map[string][]byte{
		"in one record":                     plain,
		"in records of 20 bytes":            fragmented(plain, 20),
		"with a post-quantum key share":     postQuantum,
		"with one, in records of 100 bytes": fragmented(postQuantum, 100),
	} {
		t.Run(name, func(t *testing.T) {
			hello, raw, err := ReadHello(iotest.OneByteReader(bytes.NewReader(in)))
			require.NoError(t, err)
			require.Equal(t, "myregistry.azurecr.io", hello.ServerName)
			require.Equal(t, []string{"h2", "http/1.1"}, hello.Protocols)
			require.Equal(t, in, raw, "every byte can be passed on")
		})
	}

	t.Run("a hello without a name is a hello", func(t *testing.T) {
		hello, _, err := ReadHello(bytes.NewReader(clientHello(t, &tls.Config{ServerName: "192.0.2.1"})))
		require.NoError(t, err)
		require.Empty(t, hello.ServerName)
	})
	t.Run("another protocol is told from the first byte", func(t *testing.T) {
		r, w := io.Pipe()
		defer r.Close()
		go func() { _, _ = w.Write([]byte("G")) }()
		_, raw, err := ReadHello(r)
		require.ErrorIs(t, err, ErrNotTLS)
		require.Equal(t, "G", string(raw))
	})
	t.Run("half a hello is an error and keeps its bytes", func(t *testing.T) {
		_, raw, err := ReadHello(bytes.NewReader(plain[:60]))
		require.Error(t, err)
		require.Equal(t, plain[:60], raw)
	})
	t.Run("an endless hello ends", func(t *testing.T) {
		endless := io.MultiReader(bytes.NewReader([]byte{22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff}), zeros{})
		_, raw, err := ReadHello(endless)
		require.Error(t, err)
		require.LessOrEqual(t, len(raw), MaxHello)
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func FuzzReadHello(f *testing.F) {
	f.Add(clientHello(f, &tls.Config{ServerName: "myregistry.azurecr.io"}))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{22, 3, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		hello, raw, err := ReadHello(bytes.NewReader(in))
		if !bytes.HasPrefix(in, raw) {
			t.Fatal("bytes were changed")
		}
		if err != nil && hello.ServerName != "" {
			t.Fatal("a name in spite of an error")
		}
	})
}

func TestMatchName(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"myregistry.azurecr.io", "myregistry.azurecr.io", true},
		{"MyRegistry.azurecr.io.", "myregistry.AZURECR.io", true},
		{"*.azurecr.io", "myregistry.azurecr.io", true},
		{"*.azurecr.io", "myregistry.eastus.data.azurecr.io", true},
		{"*.azurecr.io", "azurecr.io", false},
		{"*.azurecr.io", "notazurecr.io", false},
		{"*", "anything", true},
		{"", "", false},
		{"*.", "a", false},
	} {
		require.Equal(t, tc.want, MatchName([]string{tc.pattern}, tc.name), "%q on %q", tc.pattern, tc.name)
	}
}
