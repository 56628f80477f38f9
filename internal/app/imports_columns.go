package app

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/importer"
)

// ImportColumn is one column of a CSV file, whose field the user can choose.
type ImportColumn struct {
	Field  string   // the chosen or guessed field; "" skips the column
	Name   string   // in the header
	Sample []string // of the first rows, masked so that no password is shown
}

// ImportColumns returns the columns of an import's text.
func (a *Imports) ImportColumns(ctx context.Context, i connexa.Import) ([]ImportColumn, error) {
	rd, err := importer.New(a.store.ImportText(ctx, i.ID), importOptions(i.Chosen))
	if err != nil {
		return nil, err
	}
	shape := rd.Shape()
	rows := shape.Sample
	width := len(shape.Mapping)
	for _, r := range rows {
		width = max(width, len(r))
	}
	columns := make([]ImportColumn, width)
	for c := range columns {
		col := &columns[c]
		if c < len(shape.Mapping) {
			col.Field = shape.Mapping[c]
		}
		for n, r := range rows {
			switch {
			case c >= len(r) || len(col.Sample) == sampleRows:
			case n == 0 && shape.Header:
				col.Name = cutText(r[c], 40)
			default:
				col.Sample = append(col.Sample, maskValue(col.Field, r[c]))
			}
		}
	}
	return columns, nil
}

// knownMapping returns the mapping of the template of an import if it applies, or the one
// that the user chose for the last file with the same header. It returns nil if there is
// none or it is the detected one.
func (a *Imports) knownMapping(ctx context.Context, i connexa.Import, s importer.Shape) (known []string, err error) {
	if s.Format != importer.CSV || len(s.Sample) == 0 || len(i.Chosen.Mapping) > 0 || i.Chosen.Detect {
		return nil, nil
	}
	names := s.Mapping // without a header, only their number counts
	if s.Header {
		names = s.Sample[0]
	}
	if i.TemplateID != 0 {
		known, err = a.store.TemplateMapping(ctx, i.TemplateID, names, s.Header)
	}
	if known == nil && err == nil && s.Header {
		known, err = a.store.MappingFor(ctx, names)
	}
	if err != nil || len(known) != len(names) || importer.CheckMapping(known) != nil || slices.Equal(known, s.Mapping) && !s.Unmapped {
		return nil, err
	}
	return known, nil
}

// rememberMapping stores the mapping that the user chose for the header of an import,
// or forgets it if the user wants detected columns.
func (a *Imports) rememberMapping(ctx context.Context, i connexa.Import) error {
	if len(i.Chosen.Mapping) == 0 && !i.Chosen.Detect {
		return nil
	}
	rd, err := importer.New(a.store.ImportText(ctx, i.ID), importOptions(i.Chosen))
	if err != nil {
		return err
	}
	s := rd.Shape()
	if s.Format != importer.CSV || !s.Header || len(s.Sample) == 0 {
		return nil
	}
	return a.store.SetMappingFor(ctx, s.Sample[0], i.Chosen.Mapping)
}

const sampleRows = 3

// maskValue returns a value that cannot be a password, and the beginning of any other.
func maskValue(field, s string) string {
	s = strings.TrimSpace(s)
	switch field {
	case "address", "port", "country", "state":
		return cutText(s, 40)
	}
	if utf8.RuneCountInString(s) < 4 {
		return strings.Repeat("•", utf8.RuneCountInString(s))
	}
	return string([]rune(s)[:2]) + "•••"
}
