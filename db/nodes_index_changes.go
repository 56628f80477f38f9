package db

import (
	"slices"
)

// onRowChange is called by the writer's connection for each row that it inserts,
// updates or deletes. It misses writes to nodes outside DB.inTx and DB.inStmtTx.
func (s *nodeIndex) onRowChange(table string, id int64) {
	if table == "nodes" {
		s.pending = append(s.pending, id)
	}
}

// onBegin is called at the start of a transaction, with the writer's connection. It
// drops the changes of a transaction that was rolled back.
func (s *nodeIndex) onBegin() {
	if len(s.pending) == 0 {
		return
	}
	s.changedMu.Lock()
	s.committing = nil
	s.changedMu.Unlock()
	s.pending = s.pending[:0]
}

// beforeCommit is called before the commit. From then on, readers may see the changes
// of the transaction.
func (s *nodeIndex) beforeCommit() {
	if len(s.pending) > 0 {
		s.changedMu.Lock()
		s.committing = s.pending
		s.changedMu.Unlock()
	}
}

// afterCommit is called after the commit, before the writer's connection is released.
// Any earlier, a reader could read the old values again.
func (s *nodeIndex) afterCommit() {
	if len(s.pending) > 0 {
		s.markChanged(s.pending)
	}
	s.onBegin()
}

// markChanged records that nodes must be read again.
func (s *nodeIndex) markChanged(ids []int64) {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	if s.stale {
		return
	}
	for _, id := range ids {
		s.changed[id] = struct{}{}
	}
	if len(s.changed) > indexResetAt {
		clear(s.changed)
		s.stale = true
	}
}

// takeChanged removes and returns up to most of the changed nodes. The caller reads
// them again.
func (s *nodeIndex) takeChanged(most int) (ids []int64) {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	for id := range s.changed {
		if len(ids) == most {
			break
		}
		ids = append(ids, id)
		delete(s.changed, id)
	}
	return ids
}

// countChanged returns the number of changed nodes that were not yet read again.
func (s *nodeIndex) countChanged() (n int, forgotten bool) {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	return len(s.changed), s.stale
}

// isChanged reports whether any of ids may have changed since it was read.
func (s *nodeIndex) isChanged(ids []int64) bool {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	return s.stale || slices.ContainsFunc(ids, func(id int64) bool {
		_, ok := s.changed[id]
		return ok
	}) || slices.ContainsFunc(s.committing, func(id int64) bool { return slices.Contains(ids, id) })
}
