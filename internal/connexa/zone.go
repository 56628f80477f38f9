package connexa

import (
	"os"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the machine may not know the zone that the panel is to go by
)

// maxZone is the longest name of a time zone, in bytes.
const maxZone = 64

// machineZone is the zone of this machine, with its IANA name where that is known:
// the system's own is called Local.
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

// Location is the time zone at whose midnight days, weeks and months of the panel
// begin: those of quotas and of the budget of speed tests, and the end of last
// days.
func (s Settings) Location() *time.Location {
	if s.Zone == "" {
		return machineZone()
	}
	z, err := time.LoadLocation(s.Zone)
	if err != nil { // Check lets none in; a database from elsewhere may have one
		return machineZone()
	}
	return z
}

// FollowZone notes since when the zone of s is the one that is in force, and
// reports whether that is new. A period that runs when the zone changes ends at the
// first midnight after it, so nothing is counted twice and nothing is lost.
func (s *Settings) FollowZone(now time.Time) bool {
	name := s.Location().String()
	if name == s.ZoneInForce {
		return false
	}
	s.ZoneInForce, s.ZoneSince = name, now
	return true
}

// isZone says whether name may be the zone of the panel; the empty one is the
// machine's.
func isZone(name string) bool {
	if name == "" {
		return true
	}
	_, err := time.LoadLocation(name)
	return err == nil && len(name) <= maxZone && name != "Local"
}

// beginOfDay is the first moment of a day. There are days without a midnight, and
// days with two of them.
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
