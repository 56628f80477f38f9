package mppe

// cipher is an RC4 state that can get a new key in place; crypto/rc4 allocates
// one per key, and in stateless mode each packet needs two keys.
//
// The table has 32-bit entries of which 8 bits are used: processors forward
// whole words from a store to the next load faster than bytes.
type cipher struct {
	s    [256]uint32
	i, j byte
}

var identity = func() (s [256]uint32) {
	for i := range s {
		s[i] = uint32(i)
	}
	return s
}()

// setKey starts the stream of the key k.
func (c *cipher) setKey(k *Key) {
	c.s = identity
	var j byte
	for i := range 256 {
		x := c.s[i]
		j += byte(x) + k[i&15]
		c.s[i] = c.s[j]
		c.s[j] = x
	}
	c.i, c.j = 0, 0
}

// keyPair is a.setKey(ka) and b.setKey(kb), interleaved.
func keyPair(a *cipher, ka *Key, b *cipher, kb *Key) {
	a.s = identity
	b.s = identity
	var j, l byte
	for i := range 256 {
		x, y := a.s[i], b.s[i]
		j += byte(x) + ka[i&15]
		l += byte(y) + kb[i&15]
		a.s[i] = a.s[j]
		b.s[i] = b.s[l]
		a.s[j] = x
		b.s[l] = y
	}
	a.i, a.j = 0, 0
	b.i, b.j = 0, 0
}

// xor encrypts or decrypts src to dst, which must be at least as long. They
// may be the same slice.
func (c *cipher) xor(dst, src []byte) {
	i, j := c.i, c.j
	dst = dst[:len(src)]
	for n, v := range src {
		i++
		x := c.s[i]
		j += byte(x)
		y := c.s[j]
		c.s[i] = y
		c.s[j] = x
		dst[n] = v ^ byte(c.s[byte(x+y)])
	}
	c.i, c.j = i, j
}

// xorPair is two interleaved calls of xor, for two ciphers at the same position of
// their streams. One RC4 stream waits for its own last store at every byte; two streams
// use each other's wait times.
func xorPair(a *cipher, dstA, srcA []byte, b *cipher, dstB, srcB []byte) {
	n := min(len(srcA), len(srcB))
	da, sa := dstA[:n], srcA[:n]
	db, sb := dstB[:n], srcB[:n]
	i, j, l := a.i, a.j, b.j
	for k := range n {
		i++
		x, p := a.s[i], b.s[i]
		j += byte(x)
		l += byte(p)
		y, q := a.s[j], b.s[l]
		a.s[i] = y
		b.s[i] = q
		a.s[j] = x
		b.s[l] = p
		da[k] = sa[k] ^ byte(a.s[byte(x+y)])
		db[k] = sb[k] ^ byte(b.s[byte(p+q)])
	}
	a.i, a.j = i, j
	b.i, b.j = i, l
	a.xor(dstA[n:], srcA[n:])
	b.xor(dstB[n:], srcB[n:])
}
