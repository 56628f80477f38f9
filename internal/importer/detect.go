package importer

import (
	"bytes"
	"strings"
)

// looked is how many records decide about the shape.
const looked = 20

// detect finds out how the text that begins with head is to be read.
func detect(head []byte, whole bool, d *decoder, o Options) Shape {
	d.settle(head)
	if o.Format == Text {
		return Shape{Format: Text}
	}
	separators := []string{"\t", ";", ","}
	if s, _, ok := separatorLine(head); ok && o.Separator == "" {
		o.Separator = s
	}
	if o.Separator != "" {
		separators = []string{o.Separator}
	}
	var best Shape
	top := 0
	for _, s := range separators {
		shape, score := look(firstRecords(head, whole, s[0], d), s)
		if score > top {
			best, top = shape, score
		}
	}
	switch {
	case top > 0:
	case o.Format == CSV || o.Separator != "":
		s := separators[len(separators)-1]
		sample := firstRecords(head, whole, s[0], d)
		best = Shape{Format: CSV, Separator: s, Mapping: propose(sample), Sample: sample, Unmapped: true}
	default:
		return Shape{Format: Text}
	}
	if len(o.Mapping) > 0 {
		best.Mapping, best.Unmapped = o.Mapping, false
	}
	return best
}

// look judges records that were split at s: the score says how sure it is that
// they are a CSV.
func look(records [][]string, s string) (shape Shape, score int) {
	if len(records) == 0 {
		return Shape{}, 0
	}
	shape = Shape{Format: CSV, Separator: s, Sample: records}
	if mapping, known, ok := header(records[0]); ok {
		shape.Header, shape.Mapping = true, mapping
		shape.Unmapped = CheckMapping(mapping) != nil
		return shape, 1000 + known
	}
	width := 0
	hits := 0
	for i, r := range records {
		if len(r) < 2 {
			continue
		}
		found := false
		for _, cell := range r {
			found = found || looksLikeAddress(strings.TrimSpace(cell))
		}
		if found {
			hits++
			width = max(width, len(r))
		} else if i == 0 && len(records) > 1 {
			shape.Header = true // names that are not known
		}
	}
	if hits == 0 || 2*hits < len(records) {
		return Shape{}, 0
	}
	rows := records
	if shape.Header {
		rows = rows[1:]
	}
	shape.Mapping, shape.Unmapped = propose(rows), true
	return shape, hits
}

// firstRecords splits the beginning of a text, without comments and blank lines.
func firstRecords(head []byte, whole bool, separator byte, d *decoder) [][]string {
	var (
		all [][]string
		rec record
	)
	if _, size, ok := separatorLine(head); ok {
		head = head[size:]
	}
	for len(head) > 0 && len(all) < looked && (whole || len(head) >= ahead) {
		line, size := cutLine(head)
		switch {
		case size == 0:
			return all
		case isBlank(line) || isComment(line):
			head = head[size:]
			continue
		}
		if rec.parse(head, separator); rec.fault != "" {
			if rec.backSize == 0 {
				return all
			}
			head = head[min(rec.backSize, len(head)):]
			continue
		}
		cells := make([]string, len(rec.cells))
		for i, c := range rec.cells {
			cells[i], _ = d.text(c.text)
		}
		all = append(all, cells)
		head = head[rec.size:]
	}
	return all
}

// separatorLine reads the line "sep=;" with which Excel names the separator.
func separatorLine(b []byte) (separator string, size int, ok bool) {
	line, size := cutLine(b)
	s, found := strings.CutPrefix(strings.ToLower(string(bytes.Trim(line, `" `))), "sep=")
	if !found || len(s) != 1 || !strings.Contains("\t;,", s) {
		return "", 0, false
	}
	return s, size, true
}

func isBlank(line []byte) bool { return len(bytes.Trim(line, " \t\v\f\x1a\u00a0")) == 0 }

func isComment(line []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	return bytes.HasPrefix(line, []byte("#")) || bytes.HasPrefix(line, []byte("//"))
}
