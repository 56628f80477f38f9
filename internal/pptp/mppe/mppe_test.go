package mppe

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

var everyKind = func() (kinds []kind) {
	for _, bits := range []Strength{Bits40, Bits56, Bits128} {
		kinds = append(kinds, kind{bits, true}, kind{bits, false})
	}
	return kinds
}()

type kind struct {
	bits      Strength
	stateless bool
}

func (k kind) String() string { return fmt.Sprintf("%d/stateless=%v", k.bits, k.stateless) }

func (k kind) newPair() (*Encryptor, *Decryptor) {
	key, _ := KeysV2(hashHash, ntResponse)
	return NewEncryptor(key, k.bits, k.stateless), NewDecryptor(key, k.bits, k.stateless)
}

// ipPacket returns an IPv4 packet with the number n after its PPP protocol. size is at
// least 22.
func ipPacket(n, size int) []byte {
	b := make([]byte, size)
	b[1] = 0x21
	for i := 2; i < size; i++ {
		b[i] = byte(n + i)
	}
	ip := header.IPv4(b[2:])
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(size - 2), ID: uint16(n), TTL: 64, Protocol: 17})
	ip.SetChecksum(^ip.CalculateChecksum())
	return b
}

func sealFrame(e *Encryptor, plain []byte) []byte {
	f := append(make([]byte, Overhead), plain...)
	e.Seal(f)
	return f
}

func wantOpen(t *testing.T, d *Decryptor, frame, want []byte) {
	t.Helper()
	dst := make([]byte, 2048)
	n, err := d.Open(dst, frame)
	if err != nil || !bytes.Equal(dst[:n], want) {
		t.Fatalf("Open = %x, %v; want %x", dst[:n], err, want)
	}
}

func wantOpenError(t *testing.T, d *Decryptor, frame []byte, want error) {
	t.Helper()
	if n, err := d.Open(make([]byte, 2048), frame); !errors.Is(err, want) {
		t.Fatalf("Open = %d bytes, %v; want %v", n, err, want)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, k := range everyKind {
		t.Run(k.String(), func(t *testing.T) {
			e, d := k.newPair()
			for n := range 9000 { // the count wraps around twice
				p := ipPacket(n, 40+n%40)
				wantOpen(t, d, sealFrame(e, p), p)
			}
		})
	}
}

func TestPairs(t *testing.T) {
	for _, k := range everyKind {
		t.Run(k.String(), func(t *testing.T) {
			e, d := k.newPair()
			da, db := make([]byte, 2048), make([]byte, 2048)
			for n := range 5000 {
				a, b := ipPacket(2*n, 40+n%7), ipPacket(2*n+1, 1000-n%900)
				fa := append(make([]byte, Overhead), a...)
				fb := append(make([]byte, Overhead), b...)
				e.SealPair(fa, fb)
				na, errA, nb, errB := d.OpenPair(da, fa, db, fb)
				if errA != nil || errB != nil || !bytes.Equal(da[:na], a) || !bytes.Equal(db[:nb], b) {
					t.Fatalf("pair %d: %v, %v", n, errA, errB)
				}
			}
		})
	}
}

func TestLossReorderDuplicates(t *testing.T) {
	for _, bits := range []Strength{Bits40, Bits56, Bits128} {
		e, d := kind{bits, true}.newPair()
		var frames, plains [][]byte
		for n := range 200 {
			plains = append(plains, ipPacket(n, 64))
			frames = append(frames, sealFrame(e, plains[n]))
		}
		wantOpen(t, d, frames[0], plains[0])
		wantOpenError(t, d, frames[0], ErrStale)
		wantOpen(t, d, frames[70], plains[70]) // 1..69 are missing
		for n := 69; n > 6; n-- {
			wantOpen(t, d, frames[n], plains[n])
			wantOpenError(t, d, frames[n], ErrStale)
		}
		if _, err := d.Open(make([]byte, 2048), frames[5]); err == nil { // its key is not kept any more
			t.Error("a packet 66 behind was read")
		}
		wantOpen(t, d, frames[71], plains[71])
	}
}

func TestPairWithAHole(t *testing.T) {
	e, d := kind{Bits128, true}.newPair()
	var f [6][]byte
	for n := range f {
		f[n] = sealFrame(e, ipPacket(n, 50))
	}
	a, b := make([]byte, 64), make([]byte, 64)
	if _, errA, _, errB := d.OpenPair(a, f[1], b, f[0]); errA != nil || errB != nil { // swapped
		t.Fatal(errA, errB)
	}
	bad := bytes.Clone(f[2])
	bad[9] ^= 0xff
	bad[2] ^= 0xff // the protocol is damaged
	if _, errA, _, errB := d.OpenPair(a, bad, b, f[3]); !errors.Is(errA, ErrGarbage) || errB != nil {
		t.Fatal(errA, errB)
	}
	wantOpen(t, d, f[2], ipPacket(2, 50)) // its key was kept
	bad = bytes.Clone(f[5])
	bad[2] ^= 0xff
	if _, errA, _, errB := d.OpenPair(a, f[4], b, bad); errA != nil || !errors.Is(errB, ErrGarbage) {
		t.Fatal(errA, errB)
	}
	wantOpen(t, d, f[5], ipPacket(5, 50))
}

func TestForgedPacketsDoNotMoveTheState(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range everyKind {
		e, d := k.newPair()
		for n := range 300 {
			forged := make([]byte, 60)
			for i := range forged {
				forged[i] = byte(r.Uint32())
			}
			forged[0] = 0x90 | forged[0]&0x0f
			forged[2] |= 0x80 // never a valid protocol
			if forged[2] == 0xff {
				forged[2] = 0x80
			}
			dst := make([]byte, 100)
			if n, err := d.Open(dst, forged); err == nil {
				t.Logf("%v: forged packet passed: %x", k, dst[:n])
				return // expected once in several hundred
			}
			if n%10 == 0 {
				p := ipPacket(n, 80)
				wantOpen(t, d, sealFrame(e, p), p)
			}
		}
	}
}

func TestStatefulRecovery(t *testing.T) {
	for _, keepKey := range []bool{false, true} {
		for _, bits := range []Strength{Bits40, Bits128} {
			t.Run(fmt.Sprintf("%d/keepKey=%v", bits, keepKey), func(t *testing.T) {
				e, d := kind{bits, false}.newPair()
				r := rand.New(rand.NewPCG(3, uint64(bits)))
				lost := false
				read := 0
				for n := range 6000 {
					p := ipPacket(n, 60)
					f := sealFrame(e, p)
					if r.IntN(100) < 3 {
						continue
					}
					dst := make([]byte, 100)
					switch m, err := d.Open(dst, f); {
					case err == nil:
						if !bytes.Equal(dst[:m], p) {
							t.Fatalf("packet %d: %x", n, dst[:m])
						}
						read++
						lost = false
					case errors.Is(err, ErrLost):
						if !lost || n%8 == 0 { // repeat an unanswered request
							e.Flush(keepKey)
						}
						lost = true
					default:
						t.Fatalf("packet %d: %v", n, err)
					}
				}
				if read < 5000 {
					t.Errorf("only %d of 6000 were read", read)
				}
				if d.PeerKeepsKey() != keepKey {
					t.Errorf("PeerKeepsKey = %v", d.PeerKeepsKey())
				}
			})
		}
	}
}

// The stream never gets stuck, however many flushed packets are lost. Among the keys that
// are tried then, a wrong one may yield a text that starts like PPP.
func TestStatefulRecovery_FindsTheRightKey(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for i := range 2000 {
		var key Key
		for j := range key {
			key[j] = byte(r.Uint32())
		}
		keepKey := i%2 == 0
		e, d := NewEncryptor(key, Bits128, false), NewDecryptor(key, Bits128, false)
		dst := make([]byte, 100)
		unread := 0
		for n := range 1000 {
			p := ipPacket(n, 60)
			f := sealFrame(e, p)
			if r.IntN(100) < 20 {
				continue
			}
			m, err := d.Open(dst, f)
			unread++
			switch {
			case err == nil && bytes.Equal(dst[:m], p):
				unread = 0
			case errors.Is(err, ErrLost):
				e.Flush(keepKey)
			case err == nil:
				t.Errorf("session %d: packet %d was opened with a wrong key", i, n)
			}
			if unread > 100 {
				t.Fatalf("session %d: packet %d and the 100 before it were not read: %v", i, n, err)
			}
		}
		if d.PeerKeepsKey() != keepKey {
			t.Errorf("session %d: PeerKeepsKey = %v", i, d.PeerKeepsKey())
		}
	}
}

func TestRefusals(t *testing.T) {
	e, d := kind{Bits128, true}.newPair()
	f := sealFrame(e, ipPacket(1, 40))
	for n := range 3 {
		wantOpenError(t, d, f[:n], ErrMalformed)
	}
	if _, err := d.Open(make([]byte, 39), f); !errors.Is(err, ErrMalformed) {
		t.Errorf("into a short buffer: %v", err)
	}
	plain := bytes.Clone(f)
	plain[0] &^= 0x10
	wantOpenError(t, d, plain, ErrPlain)
	mppc := bytes.Clone(f)
	mppc[0] |= 0x20
	wantOpenError(t, d, mppc, ErrCompressed)
	wrong := NewDecryptor(Key{1}, Bits128, true)
	wantOpenError(t, wrong, f, ErrGarbage)
	wantOpen(t, d, f, ipPacket(1, 40))
}

func TestNoAllocations(t *testing.T) {
	for _, k := range everyKind {
		e, d := k.newPair()
		p := ipPacket(1, 1400)
		fa, fb := make([]byte, Overhead+len(p)), make([]byte, Overhead+len(p))
		da, db := make([]byte, 2048), make([]byte, 2048)
		got := testing.AllocsPerRun(500, func() {
			copy(fa[Overhead:], p)
			copy(fb[Overhead:], p)
			e.SealPair(fa, fb)
			if _, errA, _, errB := d.OpenPair(da, fa, db, fb); errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			copy(fa[Overhead:], p)
			e.Seal(fa)
			if _, err := d.Open(da, fa); err != nil {
				t.Fatal(err)
			}
		})
		if got != 0 {
			t.Errorf("%v: %v allocations per packet", k, got)
		}
	}
}

func FuzzOpen(f *testing.F) {
	e, _ := kind{Bits128, true}.newPair()
	f.Add(sealFrame(e, ipPacket(1, 40)), sealFrame(e, ipPacket(2, 40)), true)
	e, _ = kind{Bits128, false}.newPair()
	f.Add(sealFrame(e, ipPacket(1, 40)), sealFrame(e, ipPacket(2, 40)), false)
	f.Fuzz(func(t *testing.T, a, b []byte, stateless bool) {
		_, d := kind{Bits128, stateless}.newPair()
		da, db := make([]byte, len(a)), make([]byte, len(b))
		na, errA, nb, errB := d.OpenPair(da, a, db, b)
		if errA == nil && na != len(a)-Overhead || errB == nil && nb != len(b)-Overhead {
			t.Fatalf("%d %v, %d %v of %d and %d bytes", na, errA, nb, errB, len(a), len(b))
		}
	})
}

func benchmarkSeal(b *testing.B, k kind, pair bool) {
	e, _ := k.newPair()
	f, g := make([]byte, Overhead+1402), make([]byte, Overhead+1402)
	b.ReportAllocs()
	if pair {
		b.SetBytes(2 * 1402)
		for b.Loop() {
			e.SealPair(f, g)
		}
		return
	}
	b.SetBytes(1402)
	for b.Loop() {
		e.Seal(f)
	}
}

func BenchmarkSealStateless(b *testing.B)     { benchmarkSeal(b, kind{Bits128, true}, false) }
func BenchmarkSealPairStateless(b *testing.B) { benchmarkSeal(b, kind{Bits128, true}, true) }
func BenchmarkSealStateful(b *testing.B)      { benchmarkSeal(b, kind{Bits128, false}, false) }
