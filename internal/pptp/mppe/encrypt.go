package mppe

import "encoding/binary"

// Overhead is the number of bytes that MPPE adds before the contents of a packet.
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
	flagMask      = 0x00ff // in stateful mode a packet whose count ends with these bits changes the key
)

// Encryptor is the sending direction of a session. It is not safe for
// concurrent use: the order of its calls is the order on the wire.
type Encryptor struct {
	keys                  schedule
	stateless             bool
	count                 uint16 // count of the next packet
	flushNext             bool   // the next packet restarts the stream
	keyChanges            int    // how often the key changes then; with changeAtFlag, also at a flag packet
	changeAtFlag          bool
	sinceMismatch         int // packets since the last known key mismatch
	searchLeg, searchLeft int // of the search, see HandleKeyMismatch
	data                  cipher
	pair                  cipher
	scratch               cipher
}

// NewEncryptor returns an Encryptor that starts at packet 0.
func NewEncryptor(start Key, strength Strength, stateless bool) *Encryptor {
	e := &Encryptor{keys: newSchedule(start, strength), stateless: stateless}
	if stateless {
		// The key changes before every packet, the first included. From now on
		// keys.cur is the key of the next packet.
		e.keys.cur = e.keys.nextKey(e.keys.cur)
	} else {
		e.data.setKey(&e.keys.cur)
	}
	return e
}

// Seal encrypts frame[Overhead:] in place and writes the header before it.
func (e *Encryptor) Seal(frame []byte) {
	bits := uint16(bitEncrypted)
	switch {
	case e.stateless:
		bits |= bitFlushed
		e.keys.cur = e.keys.prepareCipher(&e.data, &e.scratch, e.keys.cur)
	case e.count&flagMask == flagMask || e.flushNext:
		bits |= bitFlushed
		changes := 1
		if e.flushNext && (e.changeAtFlag || e.count&flagMask != flagMask) {
			changes = e.keyChanges
		}
		for range changes {
			e.keys.cur = e.keys.nextKey(e.keys.cur)
		}
		e.data.setKey(&e.keys.cur)
		e.flushNext = false
	}
	e.sinceMismatch++
	e.putHeader(frame, bits)
	e.data.xor(frame[Overhead:], frame[Overhead:])
}

// SealPair is Seal(a) and Seal(b). In stateless mode it takes little longer than one
// call.
func (e *Encryptor) SealPair(a, b []byte) {
	if !e.stateless {
		e.Seal(a)
		e.Seal(b)
		return
	}
	next := e.keys.prepareCipher(&e.data, &e.scratch, e.keys.cur)
	e.keys.cur = e.keys.prepareCipher(&e.pair, &e.scratch, next)
	e.putHeader(a, bitEncrypted|bitFlushed)
	e.putHeader(b, bitEncrypted|bitFlushed)
	xorPair(&e.data, a[Overhead:], a[Overhead:], &e.pair, b[Overhead:], b[Overhead:])
}

func (e *Encryptor) putHeader(frame []byte, bits uint16) {
	binary.BigEndian.PutUint16(frame, bits|e.count)
	e.count = (e.count + 1) & countMask
}

// Flush makes the next packet readable without the packets before it, as the answer
// to a CCP Reset-Request. In stateless mode every packet is.
//
// RFC 3078 section 3.3 only restarts RC4 there, and so does FreeBSD; Linux
// also changes the key, on both sides. keepKey selects the behavior of the RFC, see
// Decryptor.PeerKeepsKey.
func (e *Encryptor) Flush(keepKey bool) {
	if e.stateless || e.flushNext {
		return
	}
	e.flushNext, e.changeAtFlag, e.keyChanges = true, false, 1
	if keepKey {
		e.keyChanges = 0
	}
}

// syncedAfter is how many packets without a complaint mean that the peer has the right key.
const syncedAfter = 64

// HandleKeyMismatch is called when the peer decrypts our packets to no known protocol. A
// Linux peer changes its key with every flushed packet that it receives, so each lost one
// leaves it one key behind for the rest of the session. HandleKeyMismatch therefore flushes
// the next packet without a key change, so that the peer advances by one. A delayed
// complaint that is handled twice puts the peer ahead instead: if advancing does not help,
// the search turns back for a moment and then goes further.
func (e *Encryptor) HandleKeyMismatch() {
	if e.stateless || e.flushNext {
		return
	}
	if e.sinceMismatch > syncedAfter {
		e.searchLeg, e.searchLeft = 0, 0
	}
	e.sinceMismatch = 0
	if e.searchLeft == 0 {
		e.searchLeg++
		e.searchLeft = 2
		if e.searchLeg%2 == 1 {
			e.searchLeft = min(2*e.searchLeg, 16)
		}
	}
	e.searchLeft--
	e.flushNext, e.changeAtFlag, e.keyChanges = true, true, 0
	if e.searchLeg%2 == 0 {
		e.keyChanges = 2
	}
}
