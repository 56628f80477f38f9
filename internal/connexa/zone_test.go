package connexa

import (
	"testing"
	"time"
)

func zoneOf(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestPeriodsBeginAtMidnightOfTheirZone uses days of 23, 24 and 25 hours, one without
// a midnight and one with two.
func TestPeriodsBeginAtMidnightOfTheirZone(t *testing.T) {
	for _, tt := range []struct {
		zone, at string // at is in the form of time.RFC3339
		period   QuotaPeriod
		want     string
	}{
		{"UTC", "2026-03-29T12:00:00Z", QuotaDaily, "2026-03-29T00:00:00Z"},
		{"Asia/Tokyo", "2026-03-29T15:30:00Z", QuotaDaily, "2026-03-30T00:00:00+09:00"},
		{"America/New_York", "2026-03-29T02:30:00Z", QuotaDaily, "2026-03-28T00:00:00-04:00"},
		{"Asia/Kathmandu", "2026-03-29T18:20:00Z", QuotaDaily, "2026-03-30T00:00:00+05:45"},
		{"Europe/Berlin", "2026-03-29T21:59:59Z", QuotaDaily, "2026-03-29T00:00:00+01:00"}, // 23 hours
		{"Europe/Berlin", "2026-03-29T22:00:00Z", QuotaDaily, "2026-03-30T00:00:00+02:00"},
		{"Europe/Berlin", "2026-10-25T22:59:59Z", QuotaDaily, "2026-10-25T00:00:00+02:00"}, // 25 hours
		{"Europe/Berlin", "2026-10-25T23:00:00Z", QuotaDaily, "2026-10-26T00:00:00+01:00"},
		{"America/Havana", "2026-11-01T04:30:00Z", QuotaDaily, "2026-11-01T00:00:00-04:00"}, // the first of two midnights
		{"America/Havana", "2026-11-01T05:30:00Z", QuotaDaily, "2026-11-01T00:00:00-04:00"},
		{"Africa/Cairo", "2026-04-24T10:00:00Z", QuotaDaily, "2026-04-24T01:00:00+03:00"},   // no midnight
		{"Europe/Berlin", "2026-03-29T21:00:00Z", QuotaWeekly, "2026-03-23T00:00:00+01:00"}, // a Sunday
		{"Europe/Berlin", "2026-03-29T22:30:00Z", QuotaWeekly, "2026-03-30T00:00:00+02:00"},
		{"Europe/Berlin", "2026-10-31T23:30:00Z", QuotaMonthly, "2026-11-01T00:00:00+01:00"},
		{"Pacific/Kiritimati", "2026-12-31T10:00:00Z", QuotaMonthly, "2027-01-01T00:00:00+14:00"},
		{"America/Los_Angeles", "2027-01-01T07:59:00Z", QuotaWeekly, "2026-12-28T00:00:00-08:00"},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := tt.period.Start(at.In(zoneOf(t, tt.zone))).Format(time.RFC3339); got != tt.want {
			t.Errorf("%s %s, by the %s: %s, want %s", tt.zone, tt.at, tt.period, got, tt.want)
		}
	}
	if !QuotaOnce.Start(time.Now()).IsZero() {
		t.Error("counters that begin by hand only begin by themselves")
	}
}

// TestEveryHourOfAYearIsInOnePeriod checks each hour of a year in zones with clock
// changes: a period never begins in the future, and each period resets a counter once.
func TestEveryHourOfAYearIsInOnePeriod(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Havana", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago", "Asia/Beirut"} {
		zone := zoneOf(t, name)
		for period, most := range map[QuotaPeriod]int{QuotaDaily: 365, QuotaWeekly: 53, QuotaMonthly: 12} {
			from := time.Date(2026, 1, 1, 0, 0, 0, 0, zone)
			begun, counted := 0, from
			for now := from; now.Before(time.Date(2027, 1, 1, 0, 0, 0, 0, zone)); now = now.Add(30 * time.Minute) {
				if start := period.Start(now.In(zone)); start.After(now) {
					t.Fatalf("%s, %s: the %s begins at %s", name, now, period, start)
				}
				if period.IsOver(counted, now, zone, time.Time{}) {
					begun, counted = begun+1, now
				}
			}
			if begun != most-1 && (period != QuotaWeekly || begun != 52) {
				t.Errorf("%s: %d begins by the %s", name, begun, period)
			}
		}
	}
}

// TestAChangeOfTheZoneEndsNoPeriod changes the zone in the middle of a day, in both
// directions. Counters are reset at the next midnight of the new zone, not before.
func TestAChangeOfTheZoneEndsNoPeriod(t *testing.T) {
	for _, tt := range []struct{ before, after string }{{"Asia/Tokyo", "UTC"}, {"UTC", "Asia/Tokyo"}, {"Pacific/Kiritimati", "Pacific/Pago_Pago"}, {"Pacific/Pago_Pago", "Pacific/Kiritimati"}} {
		for hour := range 24 {
			s := Settings{Zone: tt.before}
			day := time.Date(2026, 6, 10, 0, 0, 0, 0, zoneOf(t, tt.before))
			s.FollowZone(day.Add(-100 * time.Hour))
			changed := day.Add(time.Duration(hour)*time.Hour + time.Minute)
			s.Zone = tt.after
			if !s.FollowZone(changed) || s.FollowZone(changed.Add(time.Hour)) {
				t.Fatal("the change is not noted once")
			}
			var ends []time.Time
			counted := day
			for now := changed; now.Before(changed.Add(49 * time.Hour)); now = now.Add(time.Minute) {
				if QuotaDaily.IsOver(counted, now, s.Location(), s.ZoneSince) {
					counted = now
					ends = append(ends, now.In(s.Location()))
				}
			}
			for i, at := range ends {
				if at.Hour() != 0 || at.Minute() != 0 || i > 0 && at.Sub(ends[i-1]) != 24*time.Hour {
					t.Errorf("%s to %s at %d: begins at %v", tt.before, tt.after, hour, ends)
				}
			}
			if len(ends) != 2 && !ends[0].Before(changed.Add(time.Hour+time.Minute)) {
				t.Errorf("%s to %s at %d: begins at %v", tt.before, tt.after, hour, ends)
			}
		}
	}
}

func TestZoneOfTheSettings(t *testing.T) {
	for name, good := range map[string]bool{
		"": true, "UTC": true, "Europe/Berlin": true, "Asia/Kathmandu": true, "Local": false, "Berlin": false, "../../etc/passwd": false,
		"europe berlin": false, "UTC+3": false, "/etc/localtime": false,
	} {
		s := DefaultSettings()
		s.Zone = name
		if err := s.Check(); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
	s := DefaultSettings()
	s.Zone = "Nowhere/Atoll" // from a database of another machine
	if s.Location() == nil {
		t.Error("no zone at all")
	}
	s.Zone = "Europe/Berlin"
	if got := s.Location().String(); got != "Europe/Berlin" {
		t.Error(got)
	}
}

// TestLastDaysEndWithTheirZone uses last days whose night contains a clock change.
func TestLastDaysEndWithTheirZone(t *testing.T) {
	for _, tt := range []struct{ zone, day, want string }{
		{"Europe/Berlin", "2026-03-29", "2026-03-29T22:00:00Z"},
		{"Europe/Berlin", "2026-10-25", "2026-10-25T23:00:00Z"},
		{"America/Havana", "2026-10-31", "2026-11-01T04:00:00Z"},
		{"Africa/Cairo", "2026-04-23", "2026-04-23T22:00:00Z"},
		{"Asia/Tokyo", "2026-12-31", "2026-12-31T15:00:00Z"},
	} {
		zone := zoneOf(t, tt.zone)
		u, _, err := ParseClient(ClientInput{Name: "ann", Scope: "all", Expires: tt.day}, zone)
		if got := u.Expires.Format(time.RFC3339); err != nil || got != tt.want {
			t.Errorf("%s in %s: %s, %v, want %s", tt.day, tt.zone, got, err, tt.want)
		}
		if back := ExpiryDay(u.Expires, zone); back != tt.day {
			t.Errorf("%s in %s: back as %s", tt.day, tt.zone, back)
		}
	}
}
