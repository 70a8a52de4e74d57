package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// testImage is a configured image: a manifest and the blobs it names.
type testImage struct {
	manifest *manifest
	blobs    map[digest][]byte
}

// fillerSize is the size of a file that does not compress. It makes the second
// layer span many packets, so that a path which loses full-size packets loses
// the layer and not the manifest.
const fillerSize = 48 << 10

// built keeps images: they depend on nothing but their name.
var built sync.Map // "repository:tag" -> *testImage

// buildImage makes the image of a tag: linux/amd64, two layers, the command
// /hello, which prints a line and exits. The same name gives the same digests in
// every run and with every version of Go, since layers are gzip without
// compression.
func buildImage(name, tag string) (*testImage, error) {
	key := name + ":" + tag
	if img, ok := built.Load(key); ok {
		return img.(*testImage), nil
	}
	filler := make([]byte, fillerSize)
	seed := [32]byte([]byte(digestOf("sha256", []byte(key)).hex()[:32]))
	_, _ = rand.NewChaCha8(seed).Read(filler) // never fails
	program := layerOf(file{"hello", 0o755, helloELF("Hello from " + key + "\n")})
	data := layerOf(file{"etc/image-name", 0o644, []byte(key + "\n")}, file{"usr/share/filler", 0o644, filler})

	type obj = map[string]any
	layers, diffs := []obj{}, []string{}
	img := &testImage{blobs: map[digest][]byte{}}
	for _, l := range []layer{program, data} {
		d := digestOf("sha256", l.gzip)
		img.blobs[d] = l.gzip
		layers = append(layers, obj{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(l.gzip), "digest": d})
		diffs = append(diffs, string(digestOf("sha256", l.tar)))
	}
	created := uploaded.Format(time.RFC3339)
	config, err := json.Marshal(obj{
		"architecture": "amd64", "os": "linux", "created": created,
		"config":  obj{"Cmd": []string{"/hello"}, "Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, "WorkingDir": "/"},
		"rootfs":  obj{"type": "layers", "diff_ids": diffs},
		"history": []obj{{"created": created, "created_by": "COPY hello /"}, {"created": created, "created_by": "COPY etc usr /"}},
	})
	if err != nil {
		return nil, fmt.Errorf("building image %s: %w", key, err)
	}
	configDigest := digestOf("sha256", config)
	img.blobs[configDigest] = config
	body, err := json.Marshal(obj{
		"schemaVersion": 2, "mediaType": typeDockerManifest, "layers": layers,
		"config": obj{"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": configDigest},
	})
	if err != nil {
		return nil, fmt.Errorf("building image %s: %w", key, err)
	}
	m, bad := parseManifest(typeDockerManifest, digestOf("sha256", body), body)
	if bad != nil {
		return nil, fmt.Errorf("building image %s: %w", key, bad)
	}
	img.manifest = m
	got, _ := built.LoadOrStore(key, img)
	return got.(*testImage), nil
}

type file struct {
	name    string
	mode    int64
	content []byte
}

type layer struct{ tar, gzip []byte }

// layerOf packs files in order, owned by root, with a fixed time.
func layerOf(files ...file) layer {
	var t, z bytes.Buffer
	tw := tar.NewWriter(&t)
	for _, f := range files {
		// Writes to a bytes.Buffer do not fail, and the headers are constant.
		_ = tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.content)),
			ModTime: uploaded, Format: tar.FormatUSTAR})
		_, _ = tw.Write(f.content)
	}
	_ = tw.Close()
	zw, _ := gzip.NewWriterLevel(&z, gzip.NoCompression)
	_, _ = zw.Write(t.Bytes())
	_ = zw.Close()
	return layer{tar: t.Bytes(), gzip: z.Bytes()}
}

// helloELF is a static program for linux/amd64 that writes message and exits
// with 0: an ELF header, one loaded segment, and
//
//	mov eax, 1; mov edi, 1; lea rsi, [rip+message]; mov edx, len; syscall
//	mov eax, 60; xor edi, edi; syscall
func helloELF(message string) []byte {
	const base, headers = 0x400000, 64 + 56
	code, _ := hex.DecodeString("b801000000" + "bf01000000" + "488d3510000000" + "ba00000000" + "0f05" + "b83c000000" + "31ff" + "0f05")
	binary.LittleEndian.PutUint32(code[18:], uint32(len(message)))
	size := uint64(headers + len(code) + len(message))
	b := append([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, make([]byte, 9)...)
	le := binary.LittleEndian
	b = le.AppendUint16(b, 2)    // executable
	b = le.AppendUint16(b, 0x3e) // x86-64
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+headers) // entry
	b = le.AppendUint64(b, 64)           // program headers
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{64, 56, 1, 64, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(b, 1) // load
	b = le.AppendUint32(b, 5) // read, execute
	for _, v := range []uint64{0, base, base, size, size, 0x1000} {
		b = le.AppendUint64(b, v)
	}
	return append(append(b, code...), message...)
}
