package handlers

import (
	"context"
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// completedSets is the number of runs and of imports that the field "in" offers.
const completedSets = 6

// completeFilter answers GET /nodes/complete with the completions of the filter "q" at
// the column "at", in characters from 0.
func (h *Handlers) completeFilter(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	text := v.Get("q")
	if len(text) > connexa.MaxFilter {
		return connexa.Errorf(connexa.Invalid, "filter.long", connexa.MaxFilter)
	}
	column, err := strconv.Atoi(v.Get("at"))
	if err != nil {
		column = len(text)
	}
	at := connexa.PartialTermAt(text, column)
	facets, err := h.nodes.Facets(r.Context(), at.Rest)
	if err != nil {
		return err
	}
	var sets []views.CompletionSet
	if at.Field == "in" {
		if sets, err = h.completionSets(r.Context()); err != nil {
			return err
		}
	}
	return h.renderFragment(w, r, views.CompletionOptions(views.CompleteFilter(i18n.From(r.Context()), at, facets, sets)))
}

// completionSets returns the latest runs and imports.
func (h *Handlers) completionSets(ctx context.Context) ([]views.CompletionSet, error) {
	p := i18n.From(ctx)
	runs, _, err := h.runs.RunPage(ctx, false, 0, completedSets)
	if err != nil {
		return nil, err
	}
	imports, _, err := h.imports.ListImports(ctx, 0)
	if err != nil {
		return nil, err
	}
	var list []views.CompletionSet
	for _, run := range runs {
		list = append(list, views.CompletionSet{
			Value: "run/" + strconv.FormatInt(run.ID, 10),
			Label: p.T("search.run", p.T("kind."+string(run.Kind)), p.When(run.CreatedAt)),
		})
	}
	for _, i := range imports[:min(len(imports), completedSets)] {
		label := i.Name
		if label == "" {
			label = p.T("search.import", p.When(i.CreatedAt))
		}
		list = append(list, views.CompletionSet{Value: "import/" + strconv.FormatInt(i.ID, 10), Label: label})
	}
	return list, nil
}
