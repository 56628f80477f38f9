package app

import (
	"context"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// EditNodeField sets the comment or the tags of a node, or says with FieldErrors what is
// wrong with text. revision and was are what the editor showed. If the node has others
// now, the error is Conflict and the node is the current one.
func (a *Nodes) EditNodeField(ctx context.Context, id, revision int64, field, was, text string) (connexa.Node, error) {
	if !slices.Contains(connexa.InlineFields(), field) {
		return connexa.Node{}, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	by, _ := Actor(ctx)
	before, after, err := a.store.EditNodeField(ctx, id, revision, field, was, text, by)
	if err != nil {
		return before, err
	}
	if changes := connexa.NodeChanges(&before, &after); len(changes) > 0 {
		a.env.recordAct(ctx, connexa.ActNodeEdited, editedText(nameOf(id, &after), changes))
		a.env.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: id})
		a.env.Publish(connexa.Event{Topic: connexa.FleetChanged})
	}
	return after, nil
}
