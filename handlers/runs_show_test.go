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
		{connexa.RunGroup{Result: connexa.ResultGood, Reached: connexa.Control}, "/nodes?step=control"},
		{connexa.RunGroup{Result: connexa.ResultSlow, Reached: connexa.Internet}, "/nodes?status=speed_slow&step=internet"},
		{connexa.RunGroup{Result: connexa.ResultBad, Reached: connexa.Resolve, Cause: "tcp.refused"}, "/nodes?cause=tcp.refused&step=resolve"},
		{connexa.RunGroup{Result: connexa.ResultBad, Reached: connexa.NoStep, Cause: "resolve.nxdomain"}, "/nodes?cause=resolve.nxdomain&step=none"},
		{connexa.RunGroup{Result: connexa.ResultBad, Reached: connexa.TCP}, ""},
		{connexa.RunGroup{Result: connexa.ResultDeleted}, ""},
		{connexa.RunGroup{Result: connexa.ResultHeldBack, Reached: connexa.NoStep}, ""},
	} {
		if got := groupURL(c.group); got != c.want {
			t.Errorf("%+v: %q, want %q", c.group, got, c.want)
		}
	}
}
