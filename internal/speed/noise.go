package speed

import (
	crand "crypto/rand"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// block is the read size in bytes.
const block = 128 << 10

var blocks = sync.Pool{New: func() any { return new([block]byte) }}

// noise is a stream of random bytes, so that nothing on the way can compress or cache
// them. They are not secret.
type noise struct {
	rnd  *rand.ChaCha8
	left atomic.Int64 // bytes; read concurrently while they are sent
}

func newNoise(size int64) *noise {
	n := &noise{rnd: rand.NewChaCha8(seed())}
	n.left.Store(size)
	return n
}

// Read implements io.Reader.
func (n *noise) Read(p []byte) (int, error) {
	left := n.left.Load()
	if left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	n.left.Store(left - int64(len(p)))
	return n.rnd.Read(p)
}

func seed() (s [32]byte) {
	_, _ = crand.Read(s[:]) // never fails
	return s
}
