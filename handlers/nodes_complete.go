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
	var others []views.Completion
	switch at.Field {
	case "in":
		others, err = h.completionSets(r.Context())
	case "state", "city": // too many values for a facet
		others, err = h.completionValues(r.Context(), at)
	}
	if err != nil {
		return err
	}
	return h.renderFragment(w, r, views.CompletionOptions(views.CompleteFilter(i18n.From(r.Context()), at, facets, others)))
}

// completionSets returns the latest runs and imports.
func (h *Handlers) completionSets(ctx context.Context) ([]views.Completion, error) {
	p := i18n.From(ctx)
	runs, _, err := h.runs.RunPage(ctx, false, 0, completedSets)
	if err != nil {
		return nil, err
	}
	imports, _, err := h.imports.ListImports(ctx, 0)
	if err != nil {
		return nil, err
	}
	var list []views.Completion
	for _, run := range runs {
		list = append(list, views.Completion{
			Text:  "run/" + strconv.FormatInt(run.ID, 10),
			Label: p.T("search.run", p.T("kind."+string(run.Kind)), p.When(run.CreatedAt)),
			Count: -1,
		})
	}
	for _, i := range imports[:min(len(imports), completedSets)] {
		label := i.Name
		if label == "" {
			label = p.T("search.import", p.When(i.CreatedAt))
		}
		list = append(list, views.Completion{Text: "import/" + strconv.FormatInt(i.ID, 10), Label: label, Count: -1})
	}
	return list, nil
}

// completionValues returns the values of the field at the cursor.
func (h *Handlers) completionValues(ctx context.Context, at connexa.PartialTerm) ([]views.Completion, error) {
	values, err := h.nodes.NodeValues(ctx, at.Field, at.Rest)
	if err != nil {
		return nil, err
	}
	list := make([]views.Completion, len(values))
	for i, v := range values {
		list[i] = views.Completion{Text: v.Value, Label: v.Value, Count: v.Count}
		if v.Value == connexa.NoValue {
			list[i].Label = i18n.From(ctx).T("search.none")
		}
	}
	return list, nil
}
