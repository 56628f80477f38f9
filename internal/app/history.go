package app

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type historyStore interface {
	Node(ctx context.Context, id int64) (connexa.Node, error)
	LastSpeed(ctx context.Context, nodeID int64) (connexa.Entry, error)
	NodeHistory(ctx context.Context, nodeID, before int64, n int) ([]connexa.Entry, error)
	NodeHistoryAfter(ctx context.Context, nodeID, after int64, n int) ([]connexa.Entry, error)
	NodeProbes(ctx context.Context, nodeID int64, n int) ([]connexa.Entry, error)
	LastProbe(ctx context.Context, nodeID int64) (connexa.Entry, error)
	BasisProbe(ctx context.Context, nodeID int64, b connexa.Basis) (connexa.Entry, error)
	WholeHistory(ctx context.Context, nodeID int64) iter.Seq2[connexa.Entry, error]
	NodeBuckets(ctx context.Context, nodeID int64, tier connexa.Tier, since time.Time) ([]connexa.Bucket, error)
	Sparks(ctx context.Context, nodes []connexa.Node) (map[int64]connexa.Spark, error)
	Fleet(ctx context.Context) (connexa.Fleet, error)
	Uplink(ctx context.Context) (connexa.Uplink, error)
}

// NodeWithHistory is a node with its history.
type NodeWithHistory struct {
	Node    connexa.Node
	Basis   connexa.Entry   // the probe that the status rests on; zero if there is none since the last reset
	Last    connexa.Entry   // the last probe, which may be Basis; zero if there is none since the last reset
	History []connexa.Entry // one page, the newest first
	Older   int64           // the next page ends before this row; zero if there is none
	Newer   int64           // the previous page begins after this row; zero if there is none
	Recent  []connexa.Entry // the last probes, the oldest first
}

const (
	historyRows = 20 // on a node page
	recentRows  = 50
)

// History reads the history of the nodes and the figures of the dashboard.
type History struct {
	env      Env
	store    historyStore
	settings *Settings
}

// NewHistory returns History.
func NewHistory(env Env, store historyStore, settings *Settings) *History {
	return &History{env: env, store: store, settings: settings}
}

// NodeWithHistory returns a node with its basis, its last probe and one page of its
// history: the rows before the row before, or after the row after. Both zero: the first
// page.
func (a *History) NodeWithHistory(ctx context.Context, id, before, after int64) (NodeWithHistory, error) {
	n, err := a.store.Node(ctx, id)
	if err != nil {
		return NodeWithHistory{}, err
	}
	s := NodeWithHistory{Node: n}
	if !n.Last.At.IsZero() { // otherwise the last probe was of another server or login
		s.Last, err = a.store.LastProbe(ctx, id)
		if err != nil && connexa.CodeOf(err) != connexa.NotFound {
			return NodeWithHistory{}, err
		}
		if s.Basis, err = a.basisOf(ctx, &n); err != nil {
			return NodeWithHistory{}, err
		}
	}
	if s.Recent, err = a.store.NodeProbes(ctx, id, recentRows); err != nil {
		return NodeWithHistory{}, err
	}
	slices.Reverse(s.Recent)
	return s, a.historyPage(ctx, &s, before, after)
}

// basisOf returns the probe that the status of a tested node rests on. If its row was
// pruned, it is rebuilt from the node without its trace.
func (a *History) basisOf(ctx context.Context, n *connexa.Node) (connexa.Entry, error) {
	e, err := a.store.BasisProbe(ctx, n.ID, n.Basis)
	if connexa.CodeOf(err) != connexa.NotFound {
		return e, err
	}
	b := n.Basis
	e = connexa.Entry{
		NodeID: n.ID, What: connexa.EntryProbe, Result: connexa.ResultGood, At: b.At,
		Outcome: connexa.Outcome{Kind: b.Kind, At: b.At, Reached: b.Reached, Cause: b.Cause},
	}
	if b.Cause != "" {
		e.Result = connexa.ResultBad
	}
	return e, nil
}

// historyPage fills in a page of history and the positions of the adjacent pages.
func (a *History) historyPage(ctx context.Context, s *NodeWithHistory, before, after int64) (err error) {
	more := false
	if after > 0 {
		if s.History, err = a.store.NodeHistoryAfter(ctx, s.Node.ID, after, historyRows+1); err != nil {
			return err
		}
		if more = len(s.History) > historyRows; more {
			s.History = s.History[1:]
			s.Newer, s.Older = s.History[0].ID, s.History[historyRows-1].ID
			return nil
		}
		before = 0 // too few rows: show the first page
	}
	if s.History, err = a.store.NodeHistory(ctx, s.Node.ID, before, historyRows+1); err != nil {
		return err
	}
	if more = len(s.History) > historyRows; more {
		s.History = s.History[:historyRows]
		s.Older = s.History[historyRows-1].ID
	}
	if before > 0 && len(s.History) > 0 {
		newer, err := a.store.NodeHistoryAfter(ctx, s.Node.ID, s.History[0].ID, 1)
		if err != nil {
			return err
		}
		if len(newer) > 0 {
			s.Newer = s.History[0].ID
		}
	}
	return nil
}

// NodeBuckets holds a node's probes over a period, for charts.
type NodeBuckets struct {
	From, To time.Time
	Tier     connexa.Tier
	Buckets  []connexa.Bucket // the oldest first
}

// maxChartBuckets is the number of buckets that a chart can show side by side.
const maxChartBuckets = 400

// NodeBuckets returns a node's probes over a period.
func (a *History) NodeBuckets(ctx context.Context, id int64, p connexa.Period) (NodeBuckets, error) {
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil {
		return NodeBuckets{}, err
	}
	now := a.env.Now()
	v := NodeBuckets{From: now.Add(-p.Length()), To: now, Tier: p.Tier(s.Retention())}
	buckets, err := a.store.NodeBuckets(ctx, id, v.Tier, v.From)
	if err != nil {
		return NodeBuckets{}, err
	}
	maxBuckets := maxChartBuckets
	if v.Tier != connexa.EveryProbe {
		maxBuckets = len(buckets)
	}
	v.Buckets = connexa.Thin(buckets, v.From, v.To, maxBuckets)
	return v, nil
}

// NodeHistory yields the whole history of a node, the oldest row first.
func (a *History) NodeHistory(ctx context.Context, id int64) (connexa.Node, iter.Seq2[connexa.Entry, error], error) {
	n, err := a.store.Node(ctx, id)
	if err != nil {
		return n, nil, err
	}
	return n, a.store.WholeHistory(ctx, id), nil
}

// NodeSums returns the sums of a node's probes for each stored hour or day.
func (a *History) NodeSums(ctx context.Context, id int64, tier connexa.Tier) (connexa.Node, []connexa.Bucket, error) {
	n, err := a.store.Node(ctx, id)
	if err != nil {
		return n, nil, err
	}
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil {
		return n, nil, err
	}
	days := s.HistoryHourDays
	if tier == connexa.EveryDay {
		days = s.HistoryDayDays
	}
	buckets, err := a.store.NodeBuckets(ctx, id, tier, a.env.Now().Add(-time.Duration(days)*24*time.Hour))
	return n, buckets, err
}

// Sparks returns the last latencies of nodes.
func (a *History) Sparks(ctx context.Context, nodes []connexa.Node) (map[int64]connexa.Spark, error) {
	return a.store.Sparks(ctx, nodes)
}

// Fleet returns the state of the whole fleet. The result is shared and must not be
// changed.
func (a *History) Fleet(ctx context.Context) (connexa.Fleet, error) { return a.store.Fleet(ctx) }

// Uplink returns the measured speed of this host, or zero if it was never measured.
func (a *History) Uplink(ctx context.Context) (connexa.Uplink, error) { return a.store.Uplink(ctx) }

// LastSpeed returns the last row of a node's history with a measurement, or nil.
func (a *History) LastSpeed(ctx context.Context, nodeID int64) (*connexa.Entry, error) {
	e, err := a.store.LastSpeed(ctx, nodeID)
	switch {
	case connexa.CodeOf(err) == connexa.NotFound:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &e, nil
}
