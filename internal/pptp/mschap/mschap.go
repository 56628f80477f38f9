// Package mschap computes the answers of MS-CHAPv1 (RFC 2433), MS-CHAPv2
// (RFC 2759) and CHAP with MD5 (RFC 1994). It is pure: no network, no clock, and the
// caller provides randomness.
//
// These protocols consist of MD4, DES and a truncated SHA-1, which are broken. This
// package protects nothing; it only speaks to servers that require it.
package mschap

import (
	"crypto/des"  // #nosec G502: RFC 2759 section 8.6 prescribes DES
	"crypto/md5"  // #nosec G501: RFC 1994 section 4.1 prescribes MD5
	"crypto/sha1" // #nosec G505: RFC 2759 section 8.2 prescribes SHA-1
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"unicode/utf16"

	//lint:ignore SA1019 RFC 2759 section 8.3 prescribes MD4
	"golang.org/x/crypto/md4" //nolint:staticcheck // as above
)

// NTHash returns the password hash of RFC 2759 section 8.3: MD4 of the password
// in UTF-16, little endian.
func NTHash(password string) [16]byte {
	units := utf16.Encode([]rune(password))
	wide := make([]byte, 0, 2*len(units))
	for _, u := range units {
		wide = append(wide, byte(u), byte(u>>8))
	}
	return hashOf(wide)
}

// WidenedNTHash returns the hash that pppd and accel-ppp compute from a password: they
// widen each byte, not each character, to 16 bits. It differs from NTHash only
// if NeedsWidening reports true.
func WidenedNTHash(password string) [16]byte {
	wide := make([]byte, 0, 2*len(password))
	for i := range len(password) {
		wide = append(wide, password[i], 0)
	}
	return hashOf(wide)
}

// NeedsWidening reports whether the two hashes of password differ, so that a
// login refused with one may succeed with the other.
func NeedsWidening(password string) bool {
	for i := range len(password) {
		if password[i] >= 0x80 {
			return true
		}
	}
	return false
}

// HashHash returns the hash of a password hash, RFC 2759 section 8.4.
func HashHash(hash [16]byte) [16]byte { return hashOf(hash[:]) }

func hashOf(b []byte) (sum [16]byte) {
	m := md4.New()
	m.Write(b)
	m.Sum(sum[:0])
	return sum
}

// LMHash returns the LAN Manager hash of RFC 2433 section A.3: the password in upper
// case, truncated to 14 bytes, as two DES keys. Only the 40-bit and 56-bit keys
// of MS-CHAPv1 need it.
func LMHash(password string) (hash [16]byte) {
	var up [14]byte
	copy(up[:], strings.ToUpper(password))
	magic := []byte("KGS!@#$%")
	encryptDES(hash[:8], up[:7], magic)
	encryptDES(hash[8:], up[7:], magic)
	return hash
}

// V1Response answers an MS-CHAPv1 challenge, RFC 2433 section A.5.
func V1Response(challenge [8]byte, hash [16]byte) [24]byte {
	return challengeResponse(challenge, hash)
}

// V2Response answers an MS-CHAPv2 challenge, RFC 2759 section 8.1. The name is
// hashed without its domain; the Response packet contains it with the domain.
func V2Response(authenticator, peer [16]byte, name string, hash [16]byte) [24]byte {
	return challengeResponse(challengeHash(peer, authenticator, name), hash)
}

// AuthenticatorResponse returns the text by which a server proves that it knows
// the password too: "S=" and 40 upper-case hexadecimal digits, RFC 2759 section 8.7.
func AuthenticatorResponse(authenticator, peer [16]byte, name string, hash [16]byte, nt [24]byte) string {
	hh := HashHash(hash)
	ch := challengeHash(peer, authenticator, name)

	s := sha1.New()
	s.Write(hh[:])
	s.Write(nt[:])
	s.Write([]byte("Magic server to client signing constant"))
	digest := s.Sum(nil)

	s.Reset()
	s.Write(digest)
	s.Write(ch[:])
	s.Write([]byte("Pad to make it do more than one iteration"))
	return "S=" + strings.ToUpper(hex.EncodeToString(s.Sum(nil)))
}

// Proves reports whether the message of a Success packet starts with the
// expected AuthenticatorResponse. Some servers omit the "M=" that the RFC
// puts after it, and some write the digits in lower case.
func Proves(message, expected string) bool {
	if len(message) < len(expected) {
		return false
	}
	got := strings.ToUpper(message[:len(expected)])
	return subtle.ConstantTimeCompare([]byte(got), []byte(expected)) == 1
}

// MD5Response answers a CHAP challenge, RFC 1994 section 4.1.
func MD5Response(id byte, secret string, challenge []byte) [16]byte {
	b := make([]byte, 0, 1+len(secret)+len(challenge))
	b = append(b, id)
	b = append(b, secret...)
	b = append(b, challenge...)
	return md5.Sum(b) // #nosec G401: see the import
}

// challengeHash implements RFC 2759 section 8.2.
func challengeHash(peer, authenticator [16]byte, name string) (ch [8]byte) {
	if i := strings.LastIndexByte(name, '\\'); i >= 0 {
		name = name[i+1:]
	}
	s := sha1.New() // #nosec G401: see the import
	s.Write(peer[:])
	s.Write(authenticator[:])
	s.Write([]byte(name))
	copy(ch[:], s.Sum(nil))
	return ch
}

// challengeResponse implements RFC 2759 section 8.5: the hash, padded to 21 bytes, is
// three DES keys.
func challengeResponse(challenge [8]byte, hash [16]byte) (out [24]byte) {
	var keys [21]byte
	copy(keys[:], hash[:])
	for i := range 3 {
		encryptDES(out[8*i:8*i+8], keys[7*i:7*i+7], challenge[:])
	}
	return out
}

// encryptDES encrypts one block with a key of 7 bytes, RFC 2759 section 8.6.
func encryptDES(dst, key7, clear []byte) {
	key := withParity(key7)
	c, err := des.NewCipher(key[:]) // #nosec G405: see the import
	if err != nil {
		panic("mschap: des refuses a key of 8 bytes: " + err.Error()) // only with GODEBUG=fips140=only
	}
	c.Encrypt(dst, clear)
}

// withParity spreads 56 bits over 8 bytes with odd parity. DES ignores
// the parity; the vectors of the RFC include it.
func withParity(key7 []byte) (key [8]byte) {
	var bits uint64
	for _, b := range key7[:7] {
		bits = bits<<8 | uint64(b)
	}
	for i := 7; i >= 0; i-- {
		b := byte(bits&0x7f) << 1
		bits >>= 7
		p := b ^ b>>4
		p ^= p >> 2
		p ^= p >> 1
		key[i] = b | ^p&1
	}
	return key
}
