package db

import "github.com/connexa-panel/connexa/internal/connexa"

// undoBatch restores the next nodes, if nothing newer changed them. A node that the act
// changed last counts as unchanged again.
func (w *actWriter) undoBatch() error {
	// In the reverse order: a login may be free only because a later node gave it back.
	query := `SELECT node_id FROM act_changes WHERE act_id = ? ORDER BY node_id DESC LIMIT ?`
	if w.act.Kind == connexa.BulkDelete {
		query = `SELECT id FROM bin INDEXED BY bin_acts WHERE bin_act = ? ORDER BY id LIMIT ?`
	}
	ids, err := w.t.queryIDs(query, w.act.ID, actBatch)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return w.endAct(connexa.BulkUndone)
	}
	list := jsonIDs(ids)
	kept := 0
	switch column := columnOf(&w.act.Bulk); {
	case w.act.Kind == connexa.BulkDelete:
		_, err = w.restoreNodes(ids) // counts those that it restores
		kept = len(ids) - len(w.ids)
	case column != "":
		err = w.undoColumn(column, list)
	default:
		err = w.undoReset(list, len(ids))
	}
	if err != nil {
		return err
	}
	if w.act.Kind == connexa.BulkDelete {
		if err := w.t.exec(`UPDATE bin SET bin_act = NULL WHERE id`+ofBatch, list); err != nil {
			return err
		}
		return w.t.exec(`UPDATE acts SET kept = kept + ? WHERE id = ?`, kept, w.act.ID)
	}
	if err := w.t.exec(`DELETE FROM act_changes WHERE act_id = ? AND node_id`+ofBatch, w.act.ID, list); err != nil {
		return err
	}
	return w.t.exec(`UPDATE acts SET restored = restored + ?, kept = kept + ? WHERE id = ?`, len(w.ids), len(ids)-len(w.ids), w.act.ID)
}

func (w *actWriter) undoColumn(column, list string) (err error) {
	w.ids, err = w.t.queryIDs(`UPDATE nodes SET `+column+` = (SELECT before FROM act_changes WHERE act_id = ?1 AND node_id = id), changed_at = `+changedBefore+`
		WHERE id IN (SELECT value FROM json_each(?3)) AND `+column+` = (SELECT after FROM act_changes WHERE act_id = ?1 AND node_id = id) RETURNING id`,
		w.act.ID, w.at, list)
	if err != nil {
		return err
	}
	return w.recordNodes(jsonIDs(w.ids), w.undoneText(), `n.status`, `n.status`)
}

// undoReset restores logins, passwords and results. Results come back if no probe
// followed; otherwise they are cleared, because they are about another login.
func (w *actWriter) undoReset(list string, total int) error {
	for { // until no login becomes free
		same, err := w.t.queryIDs(restoreResults(w.act.Kind), w.act.ID, w.at, list)
		if err != nil {
			return err
		}
		if err := w.recordNodes(jsonIDs(same), w.undoneText(), `'not_tested'`, `n.status`); err != nil {
			return err
		}
		if w.ids = append(w.ids, same...); len(w.ids) == total || w.act.Kind == connexa.BulkReset {
			return nil
		}
		tested, err := w.t.queryIDs(restoreLogins, w.act.ID, list)
		if err != nil {
			return err
		}
		if err := w.recordNodes(jsonIDs(tested), w.undoneText(), `n.status`, `'not_tested'`); err != nil {
			return err
		}
		if err := w.t.exec(resetNode+`, changed_at = `+changedBefore+` WHERE id IN (SELECT value FROM json_each(?3))`, w.act.ID, w.at, jsonIDs(tested)); err != nil {
			return err
		}
		if w.ids = append(w.ids, tested...); len(same)+len(tested) == 0 || len(w.ids) == total {
			return nil
		}
	}
}

// undoneText says that a change was undone.
func (w *actWriter) undoneText() connexa.Text {
	if fields := w.changedFields(); len(fields) > 0 {
		return connexa.T("acts.history.undone.fields", fieldNames(fields))
	}
	return connexa.T("acts.history.undone")
}
