package speed

import (
	crand "crypto/rand"
	"io"
	"math/rand/v2"
	"sync"
)

// block is how much is read at once, in bytes.
const block = 128 << 10

var blocks = sync.Pool{New: func() any { return new([block]byte) }}

// noise is bytes that nobody has seen before, so that nothing on the way can
// compress them or give them from what it kept. They are no secret.
type noise struct {
	rnd  *rand.ChaCha8
	left int64
}

// Read implements io.Reader.
func (n *noise) Read(p []byte) (int, error) {
	if n.left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), n.left)]
	n.left -= int64(len(p))
	return n.rnd.Read(p)
}

func seed() (s [32]byte) {
	_, _ = crand.Read(s[:]) // never fails
	return s
}
