package fleet

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// order is an order of the list. Nodes are compared by their keys, then by the texts
// that did not fit into the keys, then by their ids. Nodes without the value come last
// in both directions.
type order struct {
	sort  connexa.Sort
	value func(b *block, slot int) (value uint64, missing bool) // a value uses at most valueBits
	texts func(b *block, slot int) []string                     // what the key lacks; nil: nothing
	back  bool                                                  // the whole order is reversed
}

const (
	valueBits  = 63
	maxValue   = 1<<valueBits - 1
	missingBit = 1 << valueBits
)

// row is a node in an order, or the place of a cursor, which has no block.
type row struct {
	key   uint64 // value and missing, in the direction of the order
	id    int64
	texts []string // of a cursor
	block *block
	slot  int
}

func (o *order) keyOf(value uint64, missing bool) uint64 {
	if o.sort.Desc {
		value = maxValue - value
	}
	if missing {
		value |= missingBit
	}
	if o.back {
		value = ^value
	}
	return value
}

func (o *order) key(b *block, slot int) uint64 { return o.keyOf(o.value(b, slot)) }

func (o *order) compare(x, y *row) int {
	if x.key != y.key {
		return cmp.Compare(x.key, y.key)
	}
	c := 0
	if o.texts != nil {
		c = slices.Compare(o.textsOf(x), o.textsOf(y))
	}
	if c == 0 {
		c = cmp.Compare(x.id, y.id)
	}
	if o.sort.Desc != o.back {
		return -c
	}
	return c
}

func (o *order) textsOf(r *row) []string {
	if r.block == nil {
		return r.texts
	}
	return o.texts(r.block, r.slot)
}

// orderBy returns an order. mu is held until it is no longer used.
func (f *Fleet) orderBy(s connexa.Sort, back bool) *order {
	o := &order{sort: s, back: back}
	number := func(column func(b *block, slot int) uint32, none uint32) {
		o.value = func(b *block, slot int) (uint64, bool) {
			n := column(b, slot)
			return uint64(n), n == none
		}
	}
	switch s.Key {
	case connexa.SortLogin:
		o.value = func(b *block, slot int) (uint64, bool) { return prefix(b.login(slot)), false }
		o.texts = func(b *block, slot int) []string { return []string{string(b.login(slot))} }
	case connexa.SortPlace:
		o.value = f.placeValues()
	case connexa.SortStatus:
		o.value = f.choiceValues(choiceStatus, func(text string) int { return slices.Index(connexa.Statuses(), connexa.Status(text)) })
	case connexa.SortStep:
		o.value = f.choiceValues(choiceStep, func(text string) int {
			if text == "" {
				return -1
			}
			return connexa.Step(text).Index()
		})
	case connexa.SortLatency:
		number(func(b *block, slot int) uint32 { return b.latency[slot] }, missing)
	case connexa.SortLoss:
		number(func(b *block, slot int) uint32 { return b.lost[slot] }, missing)
	case connexa.SortSpeed:
		number(func(b *block, slot int) uint32 { return b.down[slot] }, missing)
	case connexa.SortChecked:
		number(func(b *block, slot int) uint32 { return b.checked[slot] }, 0)
	case connexa.SortAdded:
		number(func(b *block, slot int) uint32 { return b.added[slot] }, 0)
	default:
		o.value = addressValue
		o.texts = serverTexts
	}
	return o
}

// choiceValues orders by the rank of a text; a negative one is no value.
func (f *Fleet) choiceValues(field int, rank func(text string) int) func(b *block, slot int) (uint64, bool) {
	d := &f.dicts[field]
	ranks := make([]int, len(d.texts))
	for i, text := range d.texts {
		ranks[i] = rank(text)
	}
	return func(b *block, slot int) (uint64, bool) {
		n := ranks[b.codes[field][slot]]
		return uint64(max(n, 0)), n < 0
	}
}

// placeFields have room for as many different texts in placeValue.
var placeFields = [...]struct{ field, bits int }{{choiceCountry, 15}, {choiceState, 24}, {choiceCity, 24}}

func (f *Fleet) placeValues() func(b *block, slot int) (uint64, bool) {
	var ranks [len(placeFields)][]uint64
	for i, p := range placeFields {
		d := &f.dicts[p.field]
		ranks[i] = make([]uint64, len(d.texts))
		for rank, code := range d.sorted() {
			ranks[i][code] = rankOf(rank, true)
		}
	}
	return func(b *block, slot int) (uint64, bool) {
		var parts [len(placeFields)]uint64
		for i, p := range placeFields {
			parts[i] = ranks[i][b.codes[p.field][slot]]
		}
		return placeValue(parts), b.codes[choiceCountry][slot] == noText
	}
}

// placeOf is placeValues for a place that no node may have.
func (f *Fleet) placeOf(texts []string) uint64 {
	var parts [len(placeFields)]uint64
	for i, p := range placeFields {
		d := &f.dicts[p.field]
		at, found := slices.BinarySearchFunc(d.sorted(), texts[i], func(code uint32, text string) int { return strings.Compare(d.texts[code], text) })
		parts[i] = rankOf(at, found)
	}
	return placeValue(parts)
}

// rankOf leaves room between two texts for one that is in no node.
func rankOf(at int, found bool) uint64 {
	if found {
		return uint64(2*at + 1)
	}
	return uint64(2 * at)
}

func placeValue(parts [len(placeFields)]uint64) (value uint64) {
	for i, p := range placeFields {
		value = value<<p.bits | parts[i]&(1<<p.bits-1)
	}
	return value
}

// prefix returns the first bytes of a text as a value, so that most texts are compared
// by it.
func prefix(text []byte) uint64 {
	var b [8]byte
	copy(b[:], text)
	return binary.BigEndian.Uint64(b[:]) >> 1
}

// hostBit is in the values of host names, which come after addresses.
const hostBit = 1 << (valueBits - 1)

func addressValue(b *block, slot int) (uint64, bool) {
	if ip := b.ip[slot]; ip != 0 {
		return uint64(ip), false
	}
	return hostBit | prefix(b.address(slot))>>1, false
}

func serverTexts(b *block, slot int) []string {
	address, login, _ := bytes.Cut(b.textOf(slot), []byte{'\n'})
	login, _, _ = bytes.Cut(login, []byte{'\n'})
	var port [2]byte
	binary.BigEndian.PutUint16(port[:], b.port[slot])
	return []string{string(address), string(port[:]), string(login)}
}

// position is where a page ends: beside a node, in an order. Clients get it as a
// cursor.
type position struct {
	Sort    string   `json:"s"`
	Back    bool     `json:"b,omitempty"` // the page is before the node, not after it
	Value   uint64   `json:"v"`
	Missing bool     `json:"m,omitempty"`
	Texts   [][]byte `json:"t,omitempty"` // not necessarily UTF-8
	ID      int64    `json:"i"`
}

// cursorAt returns the cursor of the page after a node, or before it with back.
func (f *Fleet) cursorAt(r row, s connexa.Sort, back bool) string {
	o := f.orderBy(s, false)
	p := position{Sort: s.String(), Back: back, ID: r.id}
	p.Value, p.Missing = o.value(r.block, r.slot)
	var texts []string
	switch {
	case o.texts != nil:
		texts = o.texts(r.block, r.slot)
	case s.Key == connexa.SortPlace: // the ranks of its value change
		p.Value = 0
		for _, field := range placeFields {
			texts = append(texts, f.dicts[field.field].texts[r.block.codes[field.field][r.slot]])
		}
	}
	for _, text := range texts {
		p.Texts = append(p.Texts, []byte(text))
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
	if json.Unmarshal(b, &p) != nil || p.Sort != sort.String() || p.Value > maxValue {
		return nil
	}
	want := 0
	switch sort.Key {
	case connexa.SortLogin:
		want = 1
	case connexa.SortPlace:
		want = len(placeFields)
	case connexa.SortAddress:
		want = 3
	}
	if len(p.Texts) != want {
		return nil
	}
	return &p
}

// rowOf returns the row of a cursor in an order.
func (f *Fleet) rowOf(p *position, o *order) *row {
	r := &row{id: p.ID}
	for _, text := range p.Texts {
		r.texts = append(r.texts, string(text))
	}
	value := p.Value
	if o.sort.Key == connexa.SortPlace {
		value = f.placeOf(r.texts)
	}
	r.key = o.keyOf(value, p.Missing)
	return r
}
