package triage

import "github.com/connexa-panel/connexa/internal/connexa"

const (
	// patternLength is the number of first results of a run, or of local errors in a
	// row, that are a pattern.
	patternLength = 50
	// maxRuns is the number of latest runs whose first results are remembered.
	maxRuns = 256
)

// hostState recognises faults of this host that only many results show together.
//
//	event                                       decision
//	local error while offline                   none
//	local error, this host is not online        go offline: pause the runs
//	50th local error in a row                   go offline: pause the runs
//	host is online while runs are paused        resume the runs
//	the first 50 results of a run all time out  put NoticeOutgoing on the run
type hostState struct {
	Config
	localErrors  int  // in a row
	offline      bool // runs are paused because this host is offline
	mayBePaused  bool // runs may be paused since before this process began
	firstResults map[int64]*runStart
}

// runStart counts the first results of one run.
type runStart struct {
	results  int
	timeouts int // results with the cause tcp.timeout
}

// countResult counts a result that was written and returns the runs whose first
// results all timed out.
func (h *hostState) countResult(p connexa.Probed, done connexa.Finished) (timedOut []int64) {
	h.localErrors = 0
	for _, id := range done.Runs {
		s := h.firstResults[id]
		if s == nil {
			s = &runStart{}
			h.firstResults[id] = s
			delete(h.firstResults, id-maxRuns)
		}
		if s.results >= patternLength {
			continue
		}
		s.results++
		if p.Outcome.Cause == "tcp.timeout" {
			s.timeouts++
		}
		if s.results == patternLength && s.timeouts == patternLength {
			timedOut = append(timedOut, id)
		}
	}
	return timedOut
}

func (h *hostState) countLocalError() Decision {
	h.localErrors++
	if h.offline || h.localErrors < patternLength && h.Online() {
		return Decision{}
	}
	h.offline, h.localErrors = true, 0
	h.Log.Warn("this host has no network; runs are paused")
	return Decision{Pause: connexa.T(NoticeOffline)}
}

func (h *hostState) checkOnline() Decision {
	if !h.offline && !h.mayBePaused || !h.Online() {
		return Decision{}
	}
	h.offline, h.mayBePaused = false, false
	return Decision{Resume: []string{NoticeOffline, NoticeUplink}}
}
