package fleet

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// order is an order of the list. Nodes are compared by their keys, then by the texts
// that did not fit into the keys, then by their ids. Nodes without the value come last
// in both directions.
type order struct {
	sort connexa.Sort
	back bool // the whole order is reversed
	// values sets the values of the nodes of a set, and perhaps those of others. Each is
	// at most maxValue; those of nodes without the value have missingBit, too.
	values func(b *block, among uint64, values *[blockSize]uint64)
	// compareTexts compares two nodes with equal values. Optional.
	compareTexts func(x, y row) int
}

const (
	valueBits  = 63
	maxValue   = 1<<valueBits - 1
	missingBit = 1 << valueBits
)

// row is a node in an order, or the place of a cursor, which has a block of its own.
type row struct {
	key   uint64 // value in the direction of the order
	id    int64
	block *block
	slot  int
}

// setKeys sets the keys of the nodes of a set, and perhaps those of others.
func (o *order) setKeys(b *block, among uint64, keys *[blockSize]uint64) {
	o.values(b, among, keys)
	for slot := range keys {
		keys[slot] = o.keyOf(keys[slot])
	}
}

func (o *order) keyOf(value uint64) uint64 {
	if o.sort.Desc {
		value ^= maxValue
	}
	if o.back {
		value = ^value
	}
	return value
}

// valueOf returns the value of one node.
func (o *order) valueOf(b *block, slot int) uint64 {
	var values [blockSize]uint64
	o.values(b, 1<<slot, &values)
	return values[slot]
}

func (o *order) compare(x, y row) int {
	if x.key != y.key {
		return cmp.Compare(x.key, y.key)
	}
	c := 0
	if o.compareTexts != nil {
		c = o.compareTexts(x, y)
	}
	if c == 0 {
		c = cmp.Compare(x.id, y.id)
	}
	if o.reversed() {
		return -c
	}
	return c
}

// reversed reports whether nodes with equal keys come in the reverse order.
func (o *order) reversed() bool { return o.sort.Desc != o.back }

// orderBy returns an order. mu is held until it is no longer used.
func (f *Fleet) orderBy(s connexa.Sort, back bool) *order {
	o := &order{sort: s, back: back}
	switch s.Key {
	case connexa.SortLogin:
		o.values = loginValues
		o.compareTexts = func(x, y row) int { return bytes.Compare(x.block.login(x.slot), y.block.login(y.slot)) }
	case connexa.SortPlace:
		o.values = f.placeValues()
	case connexa.SortStatus:
		o.values = f.choiceValues(choiceStatus, func(text string) int { return slices.Index(connexa.Statuses(), connexa.Status(text)) })
	case connexa.SortStep:
		o.values = f.choiceValues(choiceStep, func(text string) int {
			if text == "" {
				return -1
			}
			return connexa.Step(text).Index()
		})
	case connexa.SortLatency:
		o.values = columnValues(func(b *block) *[blockSize]uint32 { return &b.latency }, missing)
	case connexa.SortLoss:
		o.values = columnValues(func(b *block) *[blockSize]uint32 { return &b.lost }, missing)
	case connexa.SortSpeed:
		o.values = columnValues(func(b *block) *[blockSize]uint32 { return &b.down }, missing)
	case connexa.SortChecked:
		o.values = columnValues(func(b *block) *[blockSize]uint32 { return &b.checked }, 0)
	case connexa.SortAdded:
		o.values = columnValues(func(b *block) *[blockSize]uint32 { return &b.added }, 0)
	default:
		o.values = addressValues
		o.compareTexts = compareServers
	}
	return o
}

// columnValues orders by a number. none is that of a node without one.
func columnValues(column func(b *block) *[blockSize]uint32, none uint32) func(*block, uint64, *[blockSize]uint64) {
	return func(b *block, _ uint64, values *[blockSize]uint64) {
		for slot, n := range column(b) {
			value := uint64(n)
			if n == none {
				value = missingBit
			}
			values[slot] = value
		}
	}
}

// choiceValues orders by the rank of the text of a choice with few; a negative one is no
// value.
func (f *Fleet) choiceValues(field int, rank func(text string) int) func(*block, uint64, *[blockSize]uint64) {
	d := &f.dicts[field]
	ranks := make([]uint64, len(d.texts))
	for i, text := range d.texts {
		if n := rank(text); n >= 0 {
			ranks[i] = uint64(n)
		} else {
			ranks[i] = missingBit
		}
	}
	return func(b *block, _ uint64, values *[blockSize]uint64) {
		for slot, code := range &b.few[field] {
			values[slot] = ranks[code]
		}
	}
}

// placeFields are the parts of the value of a place, from the highest bits on, with room
// for as many different texts.
var placeFields = [...]struct{ field, bits, shift int }{{choiceCountry, 15, 48}, {choiceState, 24, 24}, {choiceCity, 24, 0}}

func (f *Fleet) placeValues() func(*block, uint64, *[blockSize]uint64) {
	var parts [len(placeFields)][]uint64 // by code
	for i, p := range placeFields {
		ranks := f.dicts[p.field].ranked().ranks
		parts[i] = make([]uint64, len(ranks))
		for code, rank := range ranks {
			parts[i][code] = placePart(i, rankOf(int(rank), true))
		}
	}
	parts[0][noText] |= missingBit
	return func(b *block, _ uint64, values *[blockSize]uint64) {
		countries, states, cities := &b.codes[choiceCountry-fewTexts], &b.codes[choiceState-fewTexts], &b.codes[choiceCity-fewTexts]
		for slot := range values {
			values[slot] = parts[0][countries[slot]] | parts[1][states[slot]] | parts[2][cities[slot]]
		}
	}
}

// placeOf is the value of a place that no node may have. Nodes without a country come
// after the others, in the order of the rest.
func (f *Fleet) placeOf(texts []string) (value uint64) {
	for i, p := range placeFields {
		d := &f.dicts[p.field]
		at, found := slices.BinarySearchFunc(d.ranked().codes, texts[i], func(code uint32, text string) int { return strings.Compare(d.texts[code], text) })
		value |= placePart(i, rankOf(at, found))
	}
	if texts[0] == "" {
		value |= missingBit
	}
	return value
}

// rankOf leaves room between two texts for one that is in no node.
func rankOf(at int, found bool) uint64 {
	if found {
		return uint64(2*at + 1)
	}
	return uint64(2 * at)
}

// placePart is the part of the value of a place by the rank of a text.
func placePart(i int, rank uint64) uint64 {
	return rank & (1<<placeFields[i].bits - 1) << placeFields[i].shift
}

// prefix returns the first bytes of the line at the start of text as a value, so that
// most texts are compared by it.
func prefix(text []byte) uint64 {
	if len(text) < 8 {
		text = append(make([]byte, 0, 8), text...)[:8]
	}
	const low, breaks = 0x7f7f7f7f7f7f7f7f, 0x0a0a0a0a0a0a0a0a
	value := binary.BigEndian.Uint64(text)
	differs := value ^ breaks
	ends := ^(differs&low + low | differs | low) // the highest bit of each line break
	return value &^ (^uint64(0) >> bits.LeadingZeros64(ends)) >> 1
}

func loginValues(b *block, among uint64, values *[blockSize]uint64) {
	for ; among != 0; among &= among - 1 {
		slot := bits.TrailingZeros64(among)
		values[slot] = prefix(b.text[b.start(slot):])
	}
}

// hostBit is in the values of host names, which come after addresses.
const hostBit = 1 << (valueBits - 1)

func addressValues(b *block, among uint64, values *[blockSize]uint64) {
	hosts := uint64(0)
	for slot, ip := range &b.ip {
		values[slot] = uint64(ip)
		hosts |= bitOf(ip == 0) << slot
	}
	for hosts &= among; hosts != 0; hosts &= hosts - 1 {
		slot := bits.TrailingZeros64(hosts)
		_, rest, _ := bytes.Cut(b.text[b.start(slot):], []byte{'\n'})
		values[slot] = hostBit | prefix(rest)>>1
	}
}

// compareServers compares by address, port and login.
func compareServers(x, y row) int {
	if ip := x.block.ip[x.slot]; ip == 0 || ip != y.block.ip[y.slot] {
		if c := bytes.Compare(x.block.address(x.slot), y.block.address(y.slot)); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(x.block.port[x.slot], y.block.port[y.slot]), bytes.Compare(x.block.login(x.slot), y.block.login(y.slot)))
}

// position is where a page ends: beside a node, in an order. Clients get it as a
// cursor.
type position struct {
	Sort  string   `json:"s"`
	Back  bool     `json:"b,omitempty"` // the page is before the node, not after it
	Value uint64   `json:"v"`
	Texts [][]byte `json:"t,omitempty"` // not necessarily UTF-8
	Port  uint32   `json:"p,omitempty"`
	ID    int64    `json:"i"`
}

// cursorAt returns the cursor of the page after a node, or before it with back.
func (f *Fleet) cursorAt(r row, s connexa.Sort, back bool) string {
	p := position{Sort: s.String(), Back: back, ID: r.id}
	switch s.Key {
	case connexa.SortLogin, connexa.SortAddress:
		p.Texts = [][]byte{r.block.login(r.slot), r.block.address(r.slot)}
		p.Port = r.block.port[r.slot]
	case connexa.SortPlace: // the ranks of its value change
		for _, field := range placeFields {
			p.Texts = append(p.Texts, []byte(f.dicts[field.field].texts[r.block.code(field.field, r.slot)]))
		}
	default:
		p.Value = f.orderBy(s, false).valueOf(r.block, r.slot)
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic("fleet: encode a cursor: " + err.Error()) // numbers and bytes always marshal
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// CursorAfter returns the cursor of the page after the last of some nodes in an order, or
// none without nodes.
func (f *Fleet) CursorAfter(ids []int64, s connexa.Sort) string {
	ids = f.Ordered(ids, s)
	if len(ids) == 0 {
		return ""
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	at, slot, found := f.find(ids[len(ids)-1])
	if !found {
		return ""
	}
	return f.cursorAt(row{id: f.blocks[at].ids[slot], block: f.blocks[at], slot: slot}, s, false)
}

// parseCursor returns nil for a cursor that was not made for this order. The list then
// begins at its start.
func parseCursor(s string, sort connexa.Sort) *position {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if s == "" || err != nil {
		return nil
	}
	var p position
	if json.Unmarshal(b, &p) != nil || p.Sort != sort.String() {
		return nil
	}
	want := 0
	switch sort.Key {
	case connexa.SortLogin, connexa.SortAddress:
		want = 2
	case connexa.SortPlace:
		want = len(placeFields)
	default:
	}
	if len(p.Texts) != want {
		return nil
	}
	return &p
}

// rowOf returns the row of a cursor in an order.
func (f *Fleet) rowOf(p *position, o *order) *row {
	r := &row{id: p.ID, block: newBlock()}
	r.block.n = 1
	value := p.Value
	switch o.sort.Key {
	case connexa.SortLogin, connexa.SortAddress:
		r.block.set(0, &Node{Login: string(p.Texts[0]), Address: string(p.Texts[1]), Port: int(p.Port)}, [choiceFields]uint32{})
		value = o.valueOf(r.block, 0)
	case connexa.SortPlace:
		value = f.placeOf([]string{string(p.Texts[0]), string(p.Texts[1]), string(p.Texts[2])})
	default:
	}
	r.key = o.keyOf(value)
	return r
}
