package registry

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// Media types of manifests that the service takes:
// https://learn.microsoft.com/azure/container-registry/container-registry-image-formats
const (
	typeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	typeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	typeOCIIndex       = "application/vnd.oci.image.index.v1+json"
)

// manifest is a stored manifest with what the API needs to know of it.
type manifest struct {
	digest    digest
	mediaType string
	body      []byte
	fields    manifestFields
}

// manifestFields are the fields of manifests and indexes that a registry reads:
// https://github.com/opencontainers/image-spec/blob/main/manifest.md
type manifestFields struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *descriptor       `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// descriptor is the OCI content descriptor.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       digest            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

func (m *manifest) isIndex() bool {
	return m.mediaType == typeOCIIndex || m.mediaType == typeDockerList
}

// parseManifest checks a pushed manifest on its own: that it is of a known
// type, that the type agrees with the body and that all digests are digests.
func parseManifest(contentType string, d digest, body []byte) (*manifest, *apiError) {
	invalid := func(format string, args ...any) *apiError {
		return &apiError{status: http.StatusBadRequest, code: "MANIFEST_INVALID", message: "manifest invalid: " + fmt.Sprintf(format, args...)}
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || !slices.Contains([]string{typeDockerManifest, typeDockerList, typeOCIManifest, typeOCIIndex}, mediaType) {
		return nil, invalid("media type %q is not supported", contentType)
	}
	m := &manifest{digest: d, mediaType: mediaType, body: body}
	if err := json.Unmarshal(body, &m.fields); err != nil {
		return nil, invalid("it is not a JSON object of its type")
	}
	if m.fields.SchemaVersion != 2 {
		return nil, invalid("schema version %d is not supported", m.fields.SchemaVersion)
	}
	if m.fields.MediaType != "" && m.fields.MediaType != mediaType {
		return nil, invalid("its media type is %q, the request says %q", m.fields.MediaType, mediaType)
	}
	if !m.isIndex() && m.fields.Config == nil {
		return nil, invalid("it has no config")
	}
	for _, desc := range m.descriptors() {
		if _, err := parseDigest(string(desc.Digest)); err != nil {
			return nil, invalid("%v", err)
		}
	}
	return m, nil
}

func (m *manifest) descriptors() []descriptor {
	out := slices.Concat(m.fields.Layers, m.fields.Manifests)
	for _, d := range []*descriptor{m.fields.Config, m.fields.Subject} {
		if d != nil {
			out = append(out, *d)
		}
	}
	return out
}

// references are the blobs and manifests that must be there before this
// manifest. A subject need not be. Layers that may not be distributed are
// never pushed.
func (m *manifest) references() (blobs, manifests []digest) {
	if m.isIndex() {
		for _, d := range m.fields.Manifests {
			manifests = append(manifests, d.Digest)
		}
		return nil, manifests
	}
	blobs = append(blobs, m.fields.Config.Digest)
	for _, l := range m.fields.Layers {
		if !strings.Contains(l.MediaType, "nondistributable") && !strings.Contains(l.MediaType, "foreign") {
			blobs = append(blobs, l.Digest)
		}
	}
	return blobs, nil
}

// asReferrer describes the manifest in an answer of the referrers API:
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
func (m *manifest) asReferrer() descriptor {
	artifactType := m.fields.ArtifactType
	if artifactType == "" && m.fields.Config != nil {
		artifactType = m.fields.Config.MediaType
	}
	return descriptor{MediaType: m.mediaType, Digest: m.digest, Size: int64(len(m.body)),
		ArtifactType: artifactType, Annotations: m.fields.Annotations}
}
