// Package mppe implements Microsoft Point-to-Point Encryption (RFC 3078) with the keys
// of RFC 3079. It is pure: no clock and no network.
//
// RC4 without integrity, with keys derived from a password hash, is not secure
// today. PPTP has nothing better.
package mppe

import "crypto/sha1" // #nosec G505: RFC 3079 prescribes SHA-1

// Strength is the length of the session key in bits: 40, 56 or 128.
type Strength uint8

// The strengths of RFC 3078 section 2.1. The first two are RC4 keys of 64 bits
// whose remaining bits are public.
const (
	Bits40  Strength = 40
	Bits56  Strength = 56
	Bits128 Strength = 128
)

// Key is a start key of 16 bytes. The strengths below 128 bits use only its first
// 8 bytes.
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
// A server uses them the other way round.
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

// KeyV1Short returns the start key of 40 and 56 bits after MS-CHAPv1, RFC 3079
// sections 2.1 and 2.2: the first bytes of the LAN Manager hash.
func KeyV1Short(lmHash [16]byte) (k Key) {
	copy(k[:8], lmHash[:8])
	return k
}

// sha1Key returns the first 16 bytes of the SHA-1 of parts.
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
	cur   Key // the current session key, repeated if it has 8 bytes
	size  int // 8 or 16
	fixed int // number of public leading bytes of a short key
}

// newSchedule returns the schedule at the session key that precedes the first packet,
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

// reduceKey weakens a short key as RFC 3079 section 3.1 requires, and repeats it so that
// RC4 always gets 16 bytes: its key schedule would repeat a short key itself.
func (s *schedule) reduceKey(k Key) Key {
	copy(k[:s.fixed], "\xd1\x26\x9e")
	if s.size == 8 {
		copy(k[8:], k[:8])
	}
	return k
}

// repeatKey repeats a short key to 16 bytes.
func (s *schedule) repeatKey(k Key) Key {
	if s.size == 8 {
		copy(k[8:], k[:8])
	}
	return k
}

// nextKey returns the session key after cur, RFC 3078 section 7.3.
func (s *schedule) nextKey(cur Key) Key {
	t := s.repeatKey(s.mixKey(cur))
	var c cipher
	c.setKey(&t)
	return s.encryptKey(&c, t)
}

// prepareCipher prepares c for packets with the key cur and returns the next key. The
// two RC4 key schedules run interleaved: each mostly waits for memory, and together they
// take as long as one.
func (s *schedule) prepareCipher(c, scratch *cipher, cur Key) (next Key) {
	t := s.repeatKey(s.mixKey(cur))
	keyPair(c, &cur, scratch, &t)
	return s.encryptKey(scratch, t)
}

func (s *schedule) encryptKey(c *cipher, t Key) (k Key) {
	c.xor(k[:s.size], t[:s.size])
	return s.reduceKey(k)
}
