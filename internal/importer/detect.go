package importer

import (
	"bytes"
	"slices"
	"strings"
)

// bar separates the columns of a drawn table, as in Markdown. Text has bars too, so
// such a table needs a header.
const bar = "|"

// maxSampleLines is the number of records that decide the shape.
const maxSampleLines = 20

// detectFormat decides how to read the text that begins with head.
func detectFormat(head []byte, whole bool, d *decoder, o Options) Shape {
	d.settleEncoding(head)
	switch {
	case o.Format == Text, o.Format == "" && o.Separator == "" && isPPP(head):
		return Shape{Format: Text}
	case o.Format == JSON, o.Format == "" && o.Separator == "" && isJSON(head):
		return Shape{Format: JSON}
	}
	separators := []string{"\t", ";", ",", bar}
	if s, _, ok := separatorLine(head); ok && o.Separator == "" {
		o.Separator = s
	}
	if o.Separator != "" {
		separators = []string{o.Separator}
	}
	var best Shape
	top := 0
	for _, s := range separators {
		shape, score := inspectLines(firstRecords(head, whole, s[0], d), s)
		if score > top {
			best, top = shape, score
		}
	}
	switch {
	case top > 0:
	case o.Format == CSV || o.Separator != "":
		s := separators[min(len(separators), 3)-1]
		sample := firstRecords(head, whole, s[0], d)
		best = Shape{Format: CSV, Separator: s, Mapping: proposeMapping(sample), Sample: sample, Unmapped: true}
	default:
		return Shape{Format: Text}
	}
	if len(o.Mapping) > 0 {
		best.Mapping, best.Unmapped = o.Mapping, false
	}
	if best.Separator == bar && best.Header { // a broken row of the sample may be wider
		best.Mapping = best.Mapping[:min(len(best.Mapping), len(best.Sample[0]))]
	}
	return best
}

// inspectLines rates records that were split at s: the higher the score, the surer
// they are a CSV. Lines above the header are titles if none of them has an address.
func inspectLines(records [][]string, s string) (shape Shape, score int) {
	shape = Shape{Format: CSV, Separator: s, Sample: records}
	width, hits, leading := 0, 0, 0
	for i, r := range records {
		if addressIn(r) {
			hits++
			width = max(width, len(r))
			continue
		}
		if hits > 0 {
			continue
		}
		if opensWithAddress(r) { // a line of another form
			return Shape{}, 0
		}
		if mapping, known, ok := readHeader(r); ok && (i == 0 || CheckMapping(mapping) == nil) {
			shape.Header, shape.Mapping, shape.Sample, shape.leading = true, mapping, records[i:], i+1
			shape.Unmapped = CheckMapping(mapping) != nil || namesTwice(r)
			if s == bar && !slices.ContainsFunc(records[i+1:], addressIn) {
				return Shape{}, 0
			}
			return shape, 1000 + known
		}
		leading = i + 1
	}
	if s == bar || hits == 0 || width < 2 || leading > maxTitles || 2*hits < len(records)-leading || leading == 0 && 2*hits < len(records) {
		return Shape{}, 0
	}
	rows := records
	if leading > 0 { // unknown names
		shape.Header, shape.leading = true, leading
		shape.Sample, rows = records[leading-1:], records[leading:]
	}
	shape.Mapping, shape.Unmapped = proposeMapping(rows), true
	return shape, hits
}

// maxTitles is the maximum number of lines without an address above a table whose
// header is unknown.
const maxTitles = 5

// addressIn reports whether a record of several cells has an address.
func addressIn(r []string) bool {
	if len(r) < 2 {
		return false
	}
	for _, cell := range r {
		if cell = strings.TrimSpace(cell); looksLikeAddress(cell) || hasScheme(cell) {
			return true
		}
	}
	return false
}

// hasScheme reports whether s is the URL of a PPTP server.
func hasScheme(s string) bool {
	if len(s) < 8 || !strings.EqualFold(s[:7], "pptp://") {
		return false
	}
	s = strings.TrimSuffix(s[7:], "/")
	return looksLikeAddress(s[strings.LastIndexByte(s, '@')+1:])
}

// opensWithAddress reports whether a record that is not a row of a table may be a
// server in one of the text forms.
func opensWithAddress(r []string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(r[0]), " ")
	host, _, _ := strings.Cut(word, ":")
	return looksLikeAddress(host) || looksLikeAddress(word)
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
	for len(head) > 0 && len(all) < maxSampleLines && (whole || len(head) >= ahead) {
		line, size := cutLine(head)
		switch {
		case size == 0:
			return all
		case isBlank(line) || isComment(line):
			head = head[size:]
			continue
		}
		if rec.parseRecord(head, separator); rec.fault != "" {
			if rec.backSize == 0 {
				return all
			}
			head = head[min(rec.backSize, len(head)):]
			continue
		}
		cells := make([]string, len(rec.cells))
		for i, c := range rec.cells {
			cells[i], _ = d.decodeText(c.text)
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

func isBlank(line []byte) bool { return len(bytes.Trim(line, " \t\v\f\x1a\u00a0\ufeff\u200b")) == 0 }

func isComment(line []byte) bool {
	line = bytes.TrimLeft(line, " \t\ufeff")
	return bytes.HasPrefix(line, []byte("#")) || bytes.HasPrefix(line, []byte("//"))
}
