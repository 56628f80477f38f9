package fleet

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
)

// blockSize is the number of nodes of a full block: those of one word of a set.
const blockSize = 64

// missing is the value of a number that a node does not have. It comes last in the
// order.
const missing = math.MaxUint32

// block holds up to blockSize nodes in the order of their ids. The values of a column
// are side by side, because a filter reads one column of many nodes.
type block struct {
	n        int
	ids      [blockSize]int64
	ip       [blockSize]uint32          // the IPv4 address, or 0 for a host name
	added    [blockSize]uint32          // Unix time in seconds
	checked  [blockSize]uint32          // likewise, or 0
	few      [fewTexts][blockSize]uint8 // codes of the choices with few texts
	codes    [choiceFields - fewTexts][blockSize]uint32
	latency  [blockSize]uint32 // microseconds
	down     [blockSize]uint32 // kbit/s
	lost     [blockSize]uint32 // permille
	port     [blockSize]uint32
	suspect  uint64            // the nodes that are
	flapping uint64            // likewise
	ends     [blockSize]uint32 // of the texts in text
	text     []byte            // login, address, zip and comment of each node in lower case, each with a line break after it
}

func newBlock() *block { return &block{} }

// all returns the nodes of the block.
func (b *block) all() uint64 { return ^uint64(0) >> (blockSize - b.n) }

// code returns the code of a choice of a node.
func (b *block) code(field, slot int) uint32 {
	if field < fewTexts {
		return uint32(b.few[field][slot])
	}
	return b.codes[field-fewTexts][slot]
}

// having returns the slots whose code of a choice is wanted.
func (b *block) having(field int, wanted []bool) uint64 {
	if field < fewTexts {
		return slotsOf(&b.few[field], wanted)
	}
	return slotsOf(&b.codes[field-fewTexts], wanted)
}

func slotsOf[C uint8 | uint32](codes *[blockSize]C, wanted []bool) (slots uint64) {
	for slot, code := range codes {
		slots |= bitOf(wanted[code]) << slot
	}
	return slots
}

// addCounts counts the codes of a choice of some nodes.
func (b *block) addCounts(field int, counts []int, among uint64) {
	if field < fewTexts {
		countCodes(&b.few[field], counts, among)
	} else {
		countCodes(&b.codes[field-fewTexts], counts, among)
	}
}

func countCodes[C uint8 | uint32](codes *[blockSize]C, counts []int, among uint64) {
	if among == ^uint64(0) {
		for _, code := range codes {
			counts[code]++
		}
		return
	}
	for ; among != 0; among &= among - 1 {
		counts[codes[bits.TrailingZeros64(among)]]++
	}
}

// start is where the texts of a node start in text.
func (b *block) start(slot int) uint32 {
	if slot == 0 {
		return 0
	}
	return b.ends[slot-1]
}

// textOf returns the texts of a node.
func (b *block) textOf(slot int) []byte { return b.text[b.start(slot):b.ends[slot]] }

func (b *block) login(slot int) []byte {
	login, _, _ := bytes.Cut(b.textOf(slot), []byte{'\n'})
	return login
}

func (b *block) address(slot int) []byte {
	_, rest, _ := bytes.Cut(b.textOf(slot), []byte{'\n'})
	address, _, _ := bytes.Cut(rest, []byte{'\n'})
	return address
}

// set writes a node into a slot.
func (b *block) set(slot int, n *Node, codes [choiceFields]uint32) {
	b.ids[slot], b.added[slot], b.checked[slot] = n.ID, uint32(n.Added/1000), uint32(n.Checked/1000)
	b.ip[slot] = 0
	if ip, err := netip.ParseAddr(n.Address); err == nil && ip.Is4() {
		four := ip.As4()
		b.ip[slot] = binary.BigEndian.Uint32(four[:])
	}
	for i, code := range codes {
		if i < fewTexts {
			b.few[i][slot] = uint8(code)
		} else {
			b.codes[i-fewTexts][slot] = code
		}
	}
	b.latency[slot], b.lost[slot] = orMissing(n.Latency), orMissing(n.Lost)
	b.down[slot] = missing
	if n.Down >= 0 {
		b.down[slot] = orMissing(n.Down / 1000)
	}
	b.port[slot] = uint32(n.Port)
	b.suspect, b.flapping = setBit(b.suspect, slot, n.Suspect), setBit(b.flapping, slot, n.Flapping)
	b.setText(slot, n)
}

func setBit(set uint64, slot int, on bool) uint64 {
	if on {
		return set | 1<<slot
	}
	return set &^ (1 << slot)
}

// copyBits copies n bits of src from a slot on to a slot of set.
func copyBits(set uint64, to int, src uint64, from, n int) uint64 {
	bits := uint64(1)<<n - 1
	return set&^(bits<<to) | src>>from&bits<<to
}

func orMissing(n int64) uint32 {
	if n < 0 {
		return missing
	}
	return uint32(min(n, missing-1))
}

func (b *block) setText(slot int, n *Node) {
	var room [512]byte
	text := room[:0]
	for _, s := range []string{n.Login, n.Address, n.Zip, n.Comment} {
		text = append(append(text, strings.ToLower(s)...), '\n')
	}
	old := b.textOf(slot)
	if bytes.Equal(old, text) {
		return
	}
	end := int(b.ends[slot])
	b.replaceText(end-len(old), end, text)
	for i := slot; i < b.n; i++ {
		b.ends[i] += uint32(len(text) - len(old))
	}
}

// replaceText replaces a part of text. The memory of a full block fits its text.
func (b *block) replaceText(from, to int, text []byte) {
	size := len(b.text) + len(text) - (to - from)
	if size > cap(b.text) {
		room := size
		if b.n < blockSize {
			room = size * blockSize / b.n
		}
		grown := make([]byte, len(b.text), room)
		copy(grown, b.text)
		b.text = grown
	}
	b.text = slices.Replace(b.text, from, to, text...)
}

// makeRoom makes an empty slot before the node at slot.
func (b *block) makeRoom(slot int) {
	end := b.start(slot)
	b.n++
	b.move(slot+1, slot, b.n-1-slot)
	b.ends[slot] = end
}

// cut removes the node at slot.
func (b *block) cut(slot int) {
	size := uint32(len(b.textOf(slot)))
	end := b.ends[slot]
	b.text = slices.Delete(b.text, int(end-size), int(end))
	b.move(slot, slot+1, b.n-1-slot)
	b.n--
	for i := slot; i < b.n; i++ {
		b.ends[i] -= size
	}
}

// move copies n slots.
func (b *block) move(to, from, n int) {
	b.copySlots(to, b, from, n)
}

func (b *block) copySlots(to int, src *block, from, n int) {
	copy(b.ids[to:to+n], src.ids[from:from+n])
	copy(b.ip[to:to+n], src.ip[from:from+n])
	copy(b.added[to:to+n], src.added[from:from+n])
	copy(b.checked[to:to+n], src.checked[from:from+n])
	for i := range b.few {
		copy(b.few[i][to:to+n], src.few[i][from:from+n])
	}
	for i := range b.codes {
		copy(b.codes[i][to:to+n], src.codes[i][from:from+n])
	}
	copy(b.latency[to:to+n], src.latency[from:from+n])
	copy(b.down[to:to+n], src.down[from:from+n])
	copy(b.lost[to:to+n], src.lost[from:from+n])
	copy(b.port[to:to+n], src.port[from:from+n])
	b.suspect = copyBits(b.suspect, to, src.suspect, from, n)
	b.flapping = copyBits(b.flapping, to, src.flapping, from, n)
	copy(b.ends[to:to+n], src.ends[from:from+n])
}

// split moves the second half of a full block into a new one.
func (b *block) split() *block {
	const half = blockSize / 2
	c := newBlock()
	c.n = b.n - half
	c.copySlots(0, b, half, c.n)
	cutAt := b.ends[half-1]
	c.text = slices.Clone(b.text[cutAt:])
	for i := range c.n {
		c.ends[i] -= cutAt
	}
	b.text = b.text[:cutAt]
	b.n = half
	return c
}
