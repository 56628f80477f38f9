// Package fleet holds every node in memory and finds nodes by filter and order. The
// database feeds it after each commit; it knows no SQL. Nodes are kept in blocks in
// the order of their ids, and a filter is answered by passes over the blocks.
package fleet

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Node has the values of a node by which lists filter and order. Missing numbers are
// negative, missing times zero.
type Node struct {
	ID             int64
	Address, Login string
	Zip, Comment   string
	Choices        [choiceFields]string // by the index of choiceNames; that of tags is ",one,two,"
	Port           int
	Latency        int64 // microseconds
	Lost           int64 // permille
	Down           int64 // bits per second
	Checked        int64 // of the last probe, in Unix milliseconds
	Added          int64 // in Unix milliseconds
	Suspect        bool
	Flapping       bool
}

// The choices of a node, each of which is stored as a code of a dictionary.
const (
	choiceStatus = iota
	choiceStep   // of the basis; empty if the node was never probed
	choiceService
	choiceEncryption
	fewTexts // the choices before it have less than 256 texts

	choiceCause = iota - 1
	choiceCountry
	choiceState
	choiceCity
	choiceProvider
	choiceASN
	choiceTags
	choiceFields
)

// ChoiceNames are the names of the fields in the order of Node.Choices.
var ChoiceNames = [choiceFields]string{"status", "step", "service", "encryption", "cause", "country", "state", "city", "provider", "asn", "tag"}

// searched are the choices that words are looked for in.
var searched = []int{choiceCountry, choiceState, choiceCity, choiceProvider, choiceASN, choiceTags}

// Fleet is every node. It is safe for concurrent use.
type Fleet struct {
	mu       sync.RWMutex
	blocks   []*block // in the order of their ids; none is empty
	nodes    int
	suspect  int
	flapping int
	dicts    [choiceFields]dict
}

// New returns an empty fleet.
func New() *Fleet {
	f := &Fleet{}
	f.Clear()
	return f
}

// Clear removes all nodes.
func (f *Fleet) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocks, f.nodes, f.suspect, f.flapping = nil, 0, 0, 0
	for i := range f.dicts {
		d := &f.dicts[i]
		d.codes, d.texts, d.lower, d.counts = make(map[string]uint32), nil, nil, nil
		d.ranking.Store(nil)
		d.encode("") // noText
	}
}

// Apply replaces the nodes of ids by nodes, which have ids among them; an id without a
// node was deleted.
func (f *Fleet) Apply(ids []int64, nodes []Node) {
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if _, found := slices.BinarySearchFunc(nodes, id, func(n Node, id int64) int { return cmp.Compare(n.ID, id) }); !found {
			f.remove(id)
		}
	}
	for i := range nodes {
		f.put(&nodes[i])
	}
}

// Len returns the number of nodes.
func (f *Fleet) Len() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.nodes
}

// find returns the block that has id or would have it, and the place in it.
func (f *Fleet) find(id int64) (at, slot int, found bool) {
	at, found = slices.BinarySearchFunc(f.blocks, id, func(b *block, id int64) int { return cmp.Compare(b.ids[0], id) })
	if found {
		return at, 0, true
	}
	if at == 0 {
		return 0, 0, false
	}
	at--
	b := f.blocks[at]
	slot, found = slices.BinarySearch(b.ids[:b.n], id)
	return at, slot, found
}

func (f *Fleet) put(n *Node) {
	at, slot, found := f.find(n.ID)
	switch {
	case found:
		f.forget(f.blocks[at], slot)
	case len(f.blocks) == 0:
		f.blocks = append(f.blocks, newBlock())
	case f.blocks[at].n == blockSize && at == len(f.blocks)-1 && slot == blockSize: // ids grow, so this is the usual case
		f.blocks = append(f.blocks, newBlock())
		at, slot = at+1, 0
	case f.blocks[at].n == blockSize:
		f.blocks = slices.Insert(f.blocks, at+1, f.blocks[at].split())
		if half := f.blocks[at].n; slot > half {
			at, slot = at+1, slot-half
		}
	}
	b := f.blocks[at]
	if !found {
		b.makeRoom(slot)
		f.nodes++
	}
	b.set(slot, n, f.encode(n))
	f.count(b, slot, 1)
}

func (f *Fleet) remove(id int64) {
	at, slot, found := f.find(id)
	if !found {
		return
	}
	b := f.blocks[at]
	f.forget(b, slot)
	f.nodes--
	if b.cut(slot); b.n == 0 {
		f.blocks = slices.Delete(f.blocks, at, at+1)
	}
}

// encode returns the codes of the choices of n.
func (f *Fleet) encode(n *Node) (codes [choiceFields]uint32) {
	for i, value := range n.Choices {
		codes[i] = f.dicts[i].encode(value)
	}
	return codes
}

// forget takes a node out of the counts.
func (f *Fleet) forget(b *block, slot int) { f.count(b, slot, -1) }

func (f *Fleet) count(b *block, slot, by int) {
	for i := range f.dicts {
		f.dicts[i].counts[b.code(i, slot)] += by
	}
	if b.suspect>>slot&1 == 1 {
		f.suspect += by
	}
	if b.flapping>>slot&1 == 1 {
		f.flapping += by
	}
}

// noText is the code of the empty text in every dict.
const noText = 0

// dict gives each text of a choice a code. Codes are not given again: the texts of a
// choice are few, and one that is no longer used may come back.
type dict struct {
	codes  map[string]uint32
	texts  []string
	lower  []string // texts as filters compare them
	counts []int    // nodes with the text
	// ranking is computed when it is needed, and again after a new text.
	ranking atomic.Pointer[ranking]
}

func (d *dict) encode(text string) uint32 {
	if code, ok := d.codes[text]; ok {
		return code
	}
	text = strings.Clone(text)
	code := uint32(len(d.texts))
	d.codes[text] = code
	d.texts = append(d.texts, text)
	d.counts = append(d.counts, 0)
	lower := connexa.FoldValue(text)
	if lower == text {
		lower = text // one copy of it
	}
	d.lower = append(d.lower, lower)
	return code
}

// ranking is the order of the texts of a dict.
type ranking struct {
	codes []uint32 // in the order of their texts
	ranks []uint32 // by code
}

// ranked returns the ranking of all texts.
func (d *dict) ranked() *ranking {
	if r := d.ranking.Load(); r != nil && len(r.codes) == len(d.texts) {
		return r
	}
	r := &ranking{codes: make([]uint32, len(d.texts)), ranks: make([]uint32, len(d.texts))}
	for i := range r.codes {
		r.codes[i] = uint32(i)
	}
	slices.SortFunc(r.codes, func(a, b uint32) int { return strings.Compare(d.texts[a], d.texts[b]) })
	for rank, code := range r.codes {
		r.ranks[code] = uint32(rank)
	}
	d.ranking.Store(r)
	return r
}

// wanted returns by code whether want wants the text in lower case.
func (d *dict) wanted(want func(lower string) bool) []bool {
	out := make([]bool, len(d.lower))
	for i, text := range d.lower {
		out[i] = want(text)
	}
	return out
}
