package mppe

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// linuxServer is the receiving side of a Linux server in stateful mode, like mppe_decompress
// of Linux 5.10. It does not check the plain text, and changes its key with every flushed
// packet that it receives.
type linuxServer struct {
	keys    schedule
	data    cipher
	count   uint16
	discard bool
}

func newLinux(start Key) *linuxServer {
	l := &linuxServer{keys: newSchedule(start, Bits128), count: countMask}
	l.data.setKey(&l.keys.cur)
	return l
}

// openFrame returns nil for a discarded frame.
func (l *linuxServer) openFrame(frame []byte) []byte {
	bits := binary.BigEndian.Uint16(frame)
	count, flushed := bits&countMask, bits&bitFlushed != 0
	switch {
	case !l.discard:
		l.count = (l.count + 1) & countMask
		if count != l.count {
			l.discard = true
			return nil
		}
	case !flushed:
		return nil
	default:
		for l.count&^flagMask != count&^flagMask {
			l.keys.cur = l.keys.nextKey(l.keys.cur)
			l.count = (l.count + 256) & countMask
		}
		l.discard, l.count = false, count
	}
	if flushed {
		l.keys.cur = l.keys.nextKey(l.keys.cur)
		l.data.setKey(&l.keys.cur)
	}
	dst := make([]byte, len(frame)-Overhead)
	l.data.xor(dst, frame[Overhead:])
	return dst
}

// A Linux server recovers from any loss: of data, of flushed packets, and of
// its requests and complaints, which arrive a few packets late.
func TestLinuxServerRecoversFromLoss(t *testing.T) {
	key, _ := KeysV2(hashHash, ntResponse)
	for _, percent := range []int{1, 2, 5, 10, 20} {
		for seed := range uint64(8) {
			e, server := NewEncryptor(key, Bits128, false), newLinux(key)
			r := rand.New(rand.NewPCG(seed, uint64(percent)))
			lost := func() bool { return r.IntN(100) < percent }
			var request, complaint int // the number of the packet before which each arrives
			run, longest := 0, 0
			for n := 1; n <= 5000; n++ {
				if request == n {
					e.Flush(false)
				}
				if complaint == n {
					e.HandleKeyMismatch()
				}
				p := ipPacket(n, 40)
				f := sealFrame(e, p)
				run++
				longest = max(longest, run)
				if lost() {
					continue
				}
				got := server.openFrame(f)
				switch {
				case got == nil:
					if request <= n && !lost() {
						request = n + 1 + r.IntN(3)
					}
				case bytes.Equal(got, p):
					run = 0
				case complaint <= n && !lost():
					complaint = n + 1 + r.IntN(3)
				}
			}
			if longest > 100+20*percent {
				t.Errorf("%d %% lost, seed %d: %d packets in a row were not read", percent, seed, longest)
			}
		}
	}
}
