package connexa

import (
	"os"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the machine may lack the zone of the panel
)

// maxZone is the longest name of a time zone, in bytes.
const maxZone = 64

// machineZone is the zone of this machine, with its IANA name if it is known,
// otherwise Local.
var machineZone = sync.OnceValue(func() *time.Location {
	if time.Local.String() != "Local" {
		return time.Local
	}
	link, err := os.Readlink("/etc/localtime")
	if err != nil {
		return time.Local
	}
	if _, name, ok := strings.Cut(link, "/zoneinfo/"); ok {
		if z, err := time.LoadLocation(name); err == nil {
			return z
		}
	}
	return time.Local
})

// Location returns the time zone of the panel's days, weeks and months: those of
// quotas, of the budget of speed tests, and of last days.
func (s Settings) Location() *time.Location {
	if s.Zone == "" {
		return machineZone()
	}
	z, err := time.LoadLocation(s.Zone)
	if err != nil { // Check refuses it, but another machine's database may have one
		return machineZone()
	}
	return z
}

// FollowZone records since when the zone of s is in force, and reports whether it
// changed. A period during which the zone changes ends at the first midnight after the
// change, so that nothing is counted twice or lost.
func (s *Settings) FollowZone(now time.Time) bool {
	name := s.Location().String()
	if name == s.ZoneInForce {
		return false
	}
	s.ZoneInForce, s.ZoneSince = name, now
	return true
}

// isZone reports whether name is a valid zone of the panel; empty is this machine's.
func isZone(name string) bool {
	if name == "" {
		return true
	}
	_, err := time.LoadLocation(name)
	return err == nil && len(name) <= maxZone && name != "Local"
}

// beginOfDay returns the first moment of a day. Some days have no midnight, and some
// have two.
func beginOfDay(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if noon := time.Date(year, month, day, 12, 0, 0, 0, zone); t.Day() != noon.Day() {
		t = t.Add(time.Hour) // the clock skips midnight
	}
	if before := t.Add(-time.Hour); before.Day() == t.Day() {
		return before // the clock goes back over it
	}
	return t
}
