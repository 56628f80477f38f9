package mppe

import "encoding/binary"

// Overhead is the number of bytes that MPPE puts before a packet's contents.
const Overhead = 2

// The bits above the coherency count, RFC 3078 section 3.1.
//
//	 0                   1
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|A|B|C|D|    Coherency Count    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
const (
	bitFlushed    = 0x8000
	bitCompressed = 0x2000
	bitEncrypted  = 0x1000
	countMask     = 0x0fff
	flagMask      = 0x00ff // a packet whose count ends so changes the key in stateful mode
)

// Encryptor is the sending direction of a session. It is not safe for
// concurrent use: the order of its calls is the order on the wire.
type Encryptor struct {
	keys      schedule
	stateless bool
	count     uint16 // of the next packet
	flush     bool
	restart   bool // a flush restarts the stream and keeps the key
	data      cipher
	pair      cipher
	scratch   cipher
}

// NewEncryptor begins a direction at packet 0.
func NewEncryptor(start Key, strength Strength, stateless bool) *Encryptor {
	e := &Encryptor{keys: newSchedule(start, strength), stateless: stateless}
	if stateless {
		// The key changes before every packet, the first included. From here on
		// keys.cur is the key of the next packet.
		e.keys.cur = e.keys.after(e.keys.cur)
	} else {
		e.data.key(&e.keys.cur)
	}
	return e
}

// Seal encrypts frame[Overhead:] in place and writes the header before it.
func (e *Encryptor) Seal(frame []byte) {
	bits := uint16(bitEncrypted)
	switch {
	case e.stateless:
		bits |= bitFlushed
		e.keys.cur = e.keys.fork(&e.data, &e.scratch, e.keys.cur)
	case e.count&flagMask == flagMask || e.flush:
		bits |= bitFlushed
		if e.count&flagMask == flagMask || !e.restart {
			e.keys.cur = e.keys.after(e.keys.cur)
		}
		e.data.key(&e.keys.cur)
		e.flush = false
	}
	e.header(frame, bits)
	e.data.xor(frame[Overhead:], frame[Overhead:])
}

// SealPair is Seal(a) and Seal(b), in little more time than one in stateless
// mode.
func (e *Encryptor) SealPair(a, b []byte) {
	if !e.stateless {
		e.Seal(a)
		e.Seal(b)
		return
	}
	next := e.keys.fork(&e.data, &e.scratch, e.keys.cur)
	e.keys.cur = e.keys.fork(&e.pair, &e.scratch, next)
	e.header(a, bitEncrypted|bitFlushed)
	e.header(b, bitEncrypted|bitFlushed)
	xorPair(&e.data, a[Overhead:], a[Overhead:], &e.pair, b[Overhead:], b[Overhead:])
}

func (e *Encryptor) header(frame []byte, bits uint16) {
	binary.BigEndian.PutUint16(frame, bits|e.count)
	e.count = (e.count + 1) & countMask
}

// Flush makes the next packet one that the peer can read without those before
// it: the answer to a CCP Reset-Request. In stateless mode every packet is.
//
// RFC 3078 section 3.3 only restarts RC4 there, and FreeBSD does that; Linux
// also changes the key, on both sides. keepKey chooses the RFC's way, see
// Decryptor.PeerKeepsKey.
func (e *Encryptor) Flush(keepKey bool) {
	e.flush = !e.stateless
	e.restart = keepKey
}
