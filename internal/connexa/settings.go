package connexa

import "time"

// Settings are what an admin may turn, with the bounds that Check holds.
type Settings struct {
	Concurrency    int              // probes at once, 1 to 2000
	ConnectRate    int              // new connections a second, 1 to 10000
	PerNetwork     int              // connections at once to a /24, 1 to 1000
	PerAddress     int              // connections at once to an address, 1 to 100
	PingAttempts   int              // 1 to 3
	Encryption     EncryptionPolicy // of nodes that have none of their own; never EncryptionDefault
	KeyConfirmed   time.Time        // when the admin said that a copy of the key is kept; zero: not yet
	GREPassed      time.Time        // when a session from this machine first passed gre; zero: never
	HistoryRawDays int              // how long every probe is kept, 1 to 365

	HistoryHourDays int    // how long the sums over an hour are kept, 1 to 730
	HistoryDayDays  int    // how long the sums over a day are kept, 1 to 3650
	Zone            string // IANA name of the time zone that days of the panel begin in; empty: this machine's

	ZoneInForce string    // name of the zone that periods go by
	ZoneSince   time.Time // when it came into force

	Speed   SpeedSettings
	Service ServiceSettings
	Monitor MonitorSettings
}

// DefaultSettings are those of a new panel.
func DefaultSettings() Settings {
	return Settings{
		Concurrency: 256, ConnectRate: 100, PerNetwork: 16, PerAddress: 2,
		PingAttempts: 3, Encryption: EncryptionPreferred, HistoryRawDays: 14, HistoryHourDays: 90, HistoryDayDays: 730,
		Speed: DefaultSpeedSettings(), Service: DefaultServiceSettings(), Monitor: DefaultMonitorSettings(),
	}
}

// Check says, field by field, what is out of bounds.
func (s Settings) Check() error {
	errs := FieldErrors{}
	for _, f := range []struct {
		name             string
		value, low, high int
	}{
		{"concurrency", s.Concurrency, 1, 2000},
		{"connect_rate", s.ConnectRate, 1, 10000},
		{"per_network", s.PerNetwork, 1, 1000},
		{"per_address", s.PerAddress, 1, 100},
		{"ping_attempts", s.PingAttempts, 1, 3},
		{"history_raw_days", s.HistoryRawDays, 1, 365},
		{"history_hour_days", s.HistoryHourDays, 1, 730},
		{"history_day_days", s.HistoryDayDays, 1, 3650},
	} {
		if f.value < f.low || f.value > f.high {
			errs.Add(f.name, "field.bounds", f.low, f.high)
		}
	}
	if !isZone(s.Zone) {
		errs.Add("zone", "field.zone")
	}
	s.Speed.checkSpeed(errs)
	s.Service.checkServices(errs)
	s.Monitor.checkMonitor(errs)
	switch s.Encryption {
	case EncryptionPreferred, EncryptionRequired, EncryptionOff:
	default:
		errs.Add("encryption", "field.encryption")
	}
	return errs.OrNil()
}

// Retention says how long the history is kept.
func (s Settings) Retention() Retention {
	return Retention{Raw: s.HistoryRawDays, Hours: s.HistoryHourDays, Days: s.HistoryDayDays}
}
