// Package mppe is Microsoft Point-to-Point Encryption (RFC 3078) with the keys
// of RFC 3079. It is pure: bytes in, bytes out, no clock and no network.
//
// RC4 without integrity under keys from a password hash is no protection by
// today's measure. It is what PPTP has.
package mppe

import "crypto/sha1" // #nosec G505: RFC 3079 prescribes SHA-1

// Strength is the length of the session key in bits: 40, 56 or 128.
type Strength uint8

// The strengths of RFC 3078 section 2.1. The first two are RC4 keys of 64 bits
// of which the rest is known.
const (
	Bits40  Strength = 40
	Bits56  Strength = 56
	Bits128 Strength = 128
)

// Key is a start key: 16 bytes for 128 bits, of which the shorter strengths
// use the first 8.
type Key [16]byte

var (
	zeros = make([]byte, 40)
	f2s   = func() []byte {
		b := make([]byte, 40)
		for i := range b {
			b[i] = 0xf2
		}
		return b
	}()
)

const (
	masterMagic = "This is the MPPE Master Key"
	sendMagic   = "On the client side, this is the send key; on the server side, it is the receive key."
	recvMagic   = "On the client side, this is the receive key; on the server side, it is the send key."
)

// KeysV2 derives both start keys of a client from an MS-CHAPv2 exchange,
// RFC 3079 section 3: from the hash of the password hash and the NT response.
// A server swaps them.
func KeysV2(hashHash [16]byte, ntResponse [24]byte) (send, recv Key) {
	master := sha1Key(hashHash[:], ntResponse[:], []byte(masterMagic))
	side := func(magic string) Key {
		return sha1Key(master[:], zeros, []byte(magic), f2s)
	}
	return side(sendMagic), side(recvMagic)
}

// KeyV1 derives the start key of 128 bits from an MS-CHAPv1 exchange, RFC 3079
// section 2.4. It serves both directions.
func KeyV1(hashHash [16]byte, challenge [8]byte) Key {
	return sha1Key(hashHash[:], hashHash[:], challenge[:])
}

// KeyV1Short is the start key of 40 and 56 bits after MS-CHAPv1, RFC 3079
// sections 2.1 and 2.2: the first bytes of the LAN Manager hash.
func KeyV1Short(lmHash [16]byte) (k Key) {
	copy(k[:8], lmHash[:8])
	return k
}

// sha1Key is the first 16 bytes of a SHA-1.
func sha1Key(parts ...[]byte) (k Key) {
	s := sha1.New() // #nosec G401: see the import
	for _, p := range parts {
		s.Write(p)
	}
	var sum [sha1.Size]byte
	s.Sum(sum[:0])
	copy(k[:], sum[:])
	return k
}

// schedule is the chain of session keys of one direction.
type schedule struct {
	start Key
	cur   Key // of the current session key, repeated when it has 8 bytes
	size  int // 8 or 16
	fixed int // how many leading bytes of a short key are public
}

// newSchedule starts at the session key that precedes the first packet,
// RFC 3079 section 3.3.
func newSchedule(start Key, strength Strength) schedule {
	s := schedule{start: start, size: 8}
	switch strength {
	case Bits128:
		s.size = 16
	case Bits56:
		s.fixed = 1
	default:
		s.fixed = 3
	}
	s.cur = s.reduceKey(s.mixKey(start))
	return s
}

// mixKey is GetNewKeyFromSHA of RFC 3079 section 3.4 for the session key cur.
func (s *schedule) mixKey(cur Key) (k Key) {
	var block [112]byte
	n := copy(block[:], s.start[:s.size])
	n += 40
	n += copy(block[n:], cur[:s.size])
	n += copy(block[n:], f2s)
	sum := sha1.Sum(block[:n]) // #nosec G401: see the import
	copy(k[:], sum[:s.size])
	return k
}

// reduceKey weakens a short key as RFC 3079 section 3.1 wants it, and repeats it,
// so that RC4 sees 16 bytes always: its key schedule repeats a short key itself.
func (s *schedule) reduceKey(k Key) Key {
	copy(k[:s.fixed], "\xd1\x26\x9e")
	if s.size == 8 {
		copy(k[8:], k[:8])
	}
	return k
}

// repeatKey is k as RC4 takes it.
func (s *schedule) repeatKey(k Key) Key {
	if s.size == 8 {
		copy(k[8:], k[:8])
	}
	return k
}

// nextKey is the session key that follows cur, RFC 3078 section 7.3.
func (s *schedule) nextKey(cur Key) Key {
	t := s.repeatKey(s.mixKey(cur))
	var c cipher
	c.setKey(&t)
	return s.encryptKey(&c, t)
}

// prepareCipher prepares c for packets under cur and returns the key that follows. The
// two key schedules of RC4 that this takes run side by side: each waits on
// memory most of the time, and together they take as long as one.
func (s *schedule) prepareCipher(c, scratch *cipher, cur Key) (next Key) {
	t := s.repeatKey(s.mixKey(cur))
	keyPair(c, &cur, scratch, &t)
	return s.encryptKey(scratch, t)
}

func (s *schedule) encryptKey(c *cipher, t Key) (k Key) {
	c.xor(k[:s.size], t[:s.size])
	return s.reduceKey(k)
}
