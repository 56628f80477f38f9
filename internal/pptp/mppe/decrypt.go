package mppe

import (
	"encoding/binary"
	"errors"
	"iter"
	"sync/atomic"
)

// The errors of Open. None of them ends the session by itself.
var (
	// ErrMalformed means that the packet is too short for its header, or the buffer
	// too short for the packet.
	ErrMalformed = errors.New("mppe: malformed packet")
	// ErrPlain means that the packet lacks the encrypted bit. It is dropped.
	ErrPlain = errors.New("mppe: packet is not encrypted")
	// ErrCompressed means that the packet is compressed with MPPC, which we never negotiate.
	ErrCompressed = errors.New("mppe: packet is compressed")
	// ErrStale means that the packet was seen before, or is too late for the kept keys.
	ErrStale = errors.New("mppe: packet came too late")
	// ErrGarbage means that the packet decrypts to no PPP protocol: it was damaged or
	// forged, or the two sides have different keys.
	ErrGarbage = errors.New("mppe: packet decrypts to garbage")
	// ErrLost means a gap before the packet in stateful mode: nothing can be decrypted
	// until a CCP Reset-Request makes the peer restart its stream.
	ErrLost = errors.New("mppe: an earlier packet was lost")
)

// keptKeys is how many keys of skipped packets are kept.
const keptKeys = 64

// maxFlushes is how many flushed packets in a row may be lost in stateful mode. Each of
// them changes the key of a Linux server.
const maxFlushes = 8

// Decryptor is the receiving direction of a session. It is not safe for
// concurrent use.
type Decryptor struct {
	keys      schedule // cur is the key of packet count in stateless mode, otherwise of the stream
	stateless bool
	keepsKey  atomic.Bool // the only field that other goroutines may read
	count     uint16      // count of the next packet
	data      cipher
	pair      cipher
	scratch   cipher
	skipped   [keptKeys]skippedKey // indexed by count modulo keptKeys
}

type skippedKey struct {
	key   Key
	count uint16
	ok    bool
}

// NewDecryptor returns a Decryptor that starts at packet 0.
func NewDecryptor(start Key, strength Strength, stateless bool) *Decryptor {
	d := &Decryptor{keys: newSchedule(start, strength), stateless: stateless}
	if stateless {
		d.keys.cur = d.keys.nextKey(d.keys.cur)
	} else {
		d.data.setKey(&d.keys.cur)
	}
	return d
}

// PeerKeepsKey reports whether the peer has restarted its stream with the same key
// after a Reset-Request, as RFC 3078 says; Linux changes the key. It is safe for
// concurrent use.
func (d *Decryptor) PeerKeepsKey() bool { return d.keepsKey.Load() }

// Open decrypts frame, header included, into dst and returns the number of
// bytes. dst must not overlap frame and must be at least as long as its contents. The
// state changes only if the plain text starts like a PPP packet, so that a forged
// packet cannot desynchronize the session.
func (d *Decryptor) Open(dst, frame []byte) (int, error) {
	bits, err := checkHeader(dst, frame)
	if err != nil {
		return 0, err
	}
	src := frame[Overhead:]
	dst = dst[:len(src)]
	if d.stateless {
		err = d.openStateless(dst, src, bits&countMask)
	} else {
		err = d.openStateful(dst, src, bits&countMask, bits&bitFlushed != 0)
	}
	if err != nil {
		return 0, err
	}
	return len(src), nil
}

// OpenPair is Open(dstA, a) and Open(dstB, b). It takes little longer than one call
// if both are the next expected packets in stateless mode.
func (d *Decryptor) OpenPair(dstA, a, dstB, b []byte) (nA int, errA error, nB int, errB error) {
	bitsA, errA := checkHeader(dstA, a)
	bitsB, errB := checkHeader(dstB, b)
	if errA != nil || errB != nil || !d.stateless ||
		bitsA&countMask != d.count || bitsB&countMask != (d.count+1)&countMask {
		nA, errA = d.Open(dstA, a)
		nB, errB = d.Open(dstB, b)
		return nA, errA, nB, errB
	}
	first := d.keys.cur
	second := d.keys.prepareCipher(&d.data, &d.scratch, first)
	third := d.keys.prepareCipher(&d.pair, &d.scratch, second)
	srcA, srcB := a[Overhead:], b[Overhead:]
	dstA, dstB = dstA[:len(srcA)], dstB[:len(srcB)]
	xorPair(&d.data, dstA, srcA, &d.pair, dstB, srcB)
	switch okA, okB := startsLikePPP(dstA), startsLikePPP(dstB); {
	case okA && okB:
		d.count, d.keys.cur = (d.count+2)&countMask, third
		return len(srcA), nil, len(srcB), nil
	case okA:
		d.count, d.keys.cur = (d.count+1)&countMask, second
		return len(srcA), nil, 0, ErrGarbage
	case okB: // a is skipped
		d.saveSkipped(first, d.count)
		d.count, d.keys.cur = (d.count+2)&countMask, third
		return 0, ErrGarbage, len(srcB), nil
	default:
		return 0, ErrGarbage, 0, ErrGarbage
	}
}

func checkHeader(dst, frame []byte) (bits uint16, err error) {
	if len(frame) <= Overhead || len(dst) < len(frame)-Overhead {
		return 0, ErrMalformed
	}
	bits = binary.BigEndian.Uint16(frame)
	switch {
	case bits&bitCompressed != 0:
		return 0, ErrCompressed
	case bits&bitEncrypted == 0:
		return 0, ErrPlain
	}
	return bits, nil
}

func (d *Decryptor) openStateless(dst, src []byte, count uint16) error {
	if behind := (d.count - count) & countMask; behind >= 1 && behind <= keptKeys {
		return d.openLate(dst, src, count)
	}
	ahead := (count - d.count) & countMask
	cur := d.keys.cur
	for range ahead {
		cur = d.keys.nextKey(cur)
	}
	next := d.keys.prepareCipher(&d.data, &d.scratch, cur)
	d.data.xor(dst, src)
	if !startsLikePPP(dst) {
		return ErrGarbage
	}
	// The jump is accepted only now. Walking it a second time to keep the last skipped
	// keys costs less than room for two sets of them.
	skipped := d.keys.cur
	for i := range ahead {
		if ahead-i <= keptKeys {
			d.saveSkipped(skipped, (d.count+i)&countMask)
		}
		skipped = d.keys.nextKey(skipped)
	}
	d.count = (count + 1) & countMask
	d.keys.cur = next
	return nil
}

func (d *Decryptor) saveSkipped(k Key, count uint16) {
	d.skipped[count%keptKeys] = skippedKey{key: k, count: count, ok: true}
}

func (d *Decryptor) openLate(dst, src []byte, count uint16) error {
	k := &d.skipped[count%keptKeys]
	if !k.ok || k.count != count {
		return ErrStale
	}
	d.data.setKey(&k.key)
	d.data.xor(dst, src)
	if !startsLikePPP(dst) {
		return ErrGarbage
	}
	k.ok = false // a key is used once
	return nil
}

func (d *Decryptor) openStateful(dst, src []byte, count uint16, flushed bool) error {
	if flushed {
		return d.openFlushed(dst, src, count)
	}
	if count != d.count {
		if behind := (d.count - count) & countMask; behind <= keptKeys {
			return ErrStale
		}
		return ErrLost
	}
	d.pair = d.data
	d.pair.xor(dst, src)
	if !startsLikePPP(dst) {
		return ErrGarbage // the packets after it are lost then
	}
	d.data = d.pair
	d.count = (count + 1) & countMask
	return nil
}

// startKey is a key that a flushed packet may begin its stream with.
type startKey struct {
	key   Key
	keeps bool // the peer did not change its key, see PeerKeepsKey
}

// startKeys yields the keys that may follow the key last, the most likely first. At a
// flag packet, every peer changes its key.
func (s *schedule) startKeys(last Key, atFlag bool) iter.Seq[startKey] {
	return func(yield func(startKey) bool) {
		next := last
		for i := range maxFlushes {
			next = s.nextKey(next)
			if !yield(startKey{key: next}) {
				return
			}
			if i == 0 && !atFlag && !yield(startKey{key: last, keeps: true}) { // RFC 3078: the same key again
				return
			}
		}
	}
}

// openFlushed decrypts a packet that begins a new stream. Its key depends on the
// missing packets and on whether the peer changes its key with a flush. A wrong key
// would be kept for the rest of the session, so a text that only starts like PPP
// counts only if no key leads to an IPv4 packet.
func (d *Decryptor) openFlushed(dst, src []byte, count uint16) error {
	if behind := (d.count - count) & countMask; behind >= 1 && behind <= keptKeys {
		return ErrStale
	}
	cur := d.keys.cur
	ahead := (count - d.count) & countMask
	for i := range ahead {
		if (d.count+i)&flagMask == flagMask {
			cur = d.keys.nextKey(cur)
		}
	}
	var likely startKey
	found := false
	for k := range d.keys.startKeys(cur, count&flagMask == flagMask) {
		d.decryptWith(&k.key, dst, src)
		switch {
		case isIPv4(dst):
			d.adoptKey(k, count)
			return nil
		case !found && startsLikePPP(dst):
			likely, found = k, true
		}
	}
	if !found {
		return ErrGarbage
	}
	d.decryptWith(&likely.key, dst, src)
	d.adoptKey(likely, count)
	return nil
}

// decryptWith decrypts src from the start of a stream into dst.
func (d *Decryptor) decryptWith(k *Key, dst, src []byte) {
	d.pair.setKey(k)
	d.pair.xor(dst, src)
}

// adoptKey continues the stream that decryptWith began at packet count.
func (d *Decryptor) adoptKey(k startKey, count uint16) {
	d.keys.cur = k.key
	d.data = d.pair
	d.count = (count + 1) & countMask
	d.keepsKey.Store(k.keeps || d.keepsKey.Load() && count&flagMask == flagMask)
}

// isIPv4 reports whether a plain text is an IPv4 packet with a correct header checksum.
// Hardly any random text passes.
func isIPv4(b []byte) bool {
	const minHeader = 20
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	if len(b) >= 1 && b[0] == 0 { // the protocol has two bytes
		b = b[1:]
	}
	if len(b) < 1+minHeader || b[0] != 0x21 || b[1]>>4 != 4 {
		return false
	}
	header := b[1:]
	size := int(header[0]&15) * 4
	if size < minHeader || size > len(header) {
		return false
	}
	sum := uint32(0)
	for i := 0; i < size; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	return sum>>16+sum&0xffff == 0xffff // with a second carry it could not be that
}

// startsLikePPP reports whether a plain text begins with a protocol that MPPE
// may carry: 0x0021 to 0x00fa, and for IP followed by the version. About one in 600
// random texts passes.
func startsLikePPP(b []byte) bool {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	if len(b) < 2 {
		return false
	}
	if b[0] == 0 { // the protocol has two bytes
		b = b[1:]
		if b[0] != 0x21 && b[0] != 0x57 {
			return b[0]&1 == 1 && b[0] > 0x21 && b[0] <= 0xfa
		}
	}
	switch b[0] {
	case 0x21:
		return len(b) >= 2 && b[1]>>4 == 4
	case 0x57:
		return len(b) >= 2 && b[1]>>4 == 6
	}
	return false
}
