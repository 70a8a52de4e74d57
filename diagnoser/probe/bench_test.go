package probe

import "testing"

// BenchmarkHealthyRun is a whole run against servers on the loopback interface.
func BenchmarkHealthyRun(b *testing.B) {
	w := newWorld(b).up()
	for b.Loop() {
		if r := Run(b.Context(), w, w.target, w.opt); r.API == nil || !r.API.Blob.OK {
			b.Fatal("not healthy")
		}
	}
}
