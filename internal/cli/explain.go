package cli

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// Explain returns err as a text for the terminal.
func Explain(err error) string {
	p := i18n.New(i18n.English, nil)
	var fields connexa.FieldErrors
	if errors.As(err, &fields) {
		var said []string
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			said = append(said, name+": "+p.Text(fields[name]))
		}
		return strings.Join(said, " ")
	}
	var e *connexa.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	text := p.Text(e.Text)
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}
