package db

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// settleConflicts applies the choice of each conflict. Each batch deletes its lines.
func (w *importWriter) settleConflicts(ctx context.Context) error {
	for {
		var window []sealedLine
		err := w.eachSealed(ctx, `class = 'conflict' ORDER BY id LIMIT ?`, func(l sealedLine) error {
			window = append(window, l)
			return nil
		}, importWindow)
		if err != nil || len(window) == 0 {
			return err
		}
		err = w.writeBatches(ctx, window, func(ctx context.Context, tx *sql.Tx, lines []ready, _ bool, c *counts) error {
			for i := range lines {
				if err := w.settleConflict(ctx, tx, &lines[i], w.lineChoice(&lines[i]), c); err != nil {
					return err
				}
			}
			_, err := tx.ExecContext(ctx, `DELETE FROM import_lines WHERE import_id = ? AND class = 'conflict' AND id <= ?`, w.imp.ID, lines[len(lines)-1].id)
			return err
		})
		if err != nil {
			return err
		}
	}
}

func (w *importWriter) lineChoice(l *ready) connexa.Choice {
	return w.imp.ChoiceFor(l.choice, l.differs == passwordOnly, l.both)
}

// settleConflict applies the choice of a conflict.
func (w *importWriter) settleConflict(ctx context.Context, tx *sql.Tx, l *ready, choice connexa.Choice, c *counts) error {
	var nodes []known
	err := w.db.eachKnown(ctx, tx, `address = ? AND port = ?`, func(k known) {
		if serverOf(&k.Node) == serverOf(&l.node) {
			nodes = append(nodes, k)
		}
	}, l.node.Address, l.node.Port)
	if err != nil {
		return err
	}
	mine := pickNode(nodes, l.node.Login)
	switch {
	case mine == nil && l.noPassword: // the node was deleted meanwhile, with its password
		c.kept++
		return nil
	case mine == nil, choice == connexa.KeepBoth && mine.Login != l.node.Login:
		return w.addOne(ctx, tx, l, c)
	case choice != connexa.TakeTheirs:
		c.kept++
		return nil
	}
	return w.applyTheirs(ctx, tx, mine, l, c)
}

// applyTheirs updates a node with the values of its line.
func (w *importWriter) applyTheirs(ctx context.Context, tx *sql.Tx, mine *known, l *ready, c *counts) error {
	d := w.db
	n := mergeTheirs(&mine.Node, &l.node, &l.defaulted)
	fields := changedFields(&mine.Node, &n)
	password := l.password
	if l.noPassword {
		var sealed []byte
		if err := tx.QueryRowContext(ctx, `SELECT password FROM nodes WHERE id = ?`, n.ID).Scan(&sealed); err != nil {
			return err
		}
		var err error
		if password, err = d.ring.openPassword(sealed); err != nil {
			return err
		}
	} else if !bytes.Equal(mine.mac, d.ring.passwordMAC(password)) {
		fields = append(fields, "password")
	}
	if len(fields) == 0 {
		c.kept++
		return nil
	}
	now := toMillis(d.now())
	if err := w.noteChanged(ctx, tx, &mine.Node, &n, fields, d.ring.passwordMAC(password), now); err != nil {
		return err
	}
	values := append(d.ring.nodeValues(&n, password), w.imp.ID, now, n.ID)
	if _, err := tx.ExecContext(ctx, updateNodeSQL("import_id", "changed_at"), values...); err != nil {
		return fmt.Errorf("change node %d: %w", n.ID, err)
	}
	after := mine.Status
	reset := slices.ContainsFunc(fields, wasProbed)
	if reset {
		after = connexa.NotTested
		if _, err := tx.ExecContext(ctx, resetNode+` WHERE id = ?`, n.ID); err != nil {
			return fmt.Errorf("reset node %d: %w", n.ID, err)
		}
	}
	c.updated++
	return d.recordEdit(ctx, tx, connexa.Entry{
		NodeID: n.ID, What: connexa.EntryEdited, By: w.imp.By, Before: mine.Status, After: after,
		Suspect: !reset && mine.Failures.Suspect(), Detail: connexa.Detail{Text: connexa.T("history.edited", fieldNames(fields))},
	})
}
