package handlers

import (
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestLikeGroup(t *testing.T) {
	for _, c := range []struct {
		group connexa.RunGroup
		want  string
	}{
		{connexa.RunGroup{Mark: connexa.MarkGood, Reached: connexa.Control}, "/nodes?step=control"},
		{connexa.RunGroup{Mark: connexa.MarkSlow, Reached: connexa.Internet}, "/nodes?status=speed_slow&step=internet"},
		{connexa.RunGroup{Mark: connexa.MarkBad, Reached: connexa.Resolve, Cause: "tcp.refused"}, "/nodes?cause=tcp.refused&step=resolve"},
		{connexa.RunGroup{Mark: connexa.MarkBad, Reached: connexa.NoStep, Cause: "resolve.nxdomain"}, "/nodes?cause=resolve.nxdomain&step=none"},
		{connexa.RunGroup{Mark: connexa.MarkBad, Reached: connexa.TCP}, ""},
		{connexa.RunGroup{Mark: connexa.MarkDeleted}, ""},
		{connexa.RunGroup{Mark: connexa.MarkHeld, Reached: connexa.NoStep}, ""},
	} {
		if got := likeGroup(c.group); got != c.want {
			t.Errorf("%+v: %q, want %q", c.group, got, c.want)
		}
	}
}
