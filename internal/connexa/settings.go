package connexa

import "time"

// Settings are the settings of the panel. Check enforces their bounds.
type Settings struct {
	Concurrency    int              // concurrent probes, 1 to 2000
	ConnectRate    int              // new connections per second, 1 to 10000
	PerNetwork     int              // concurrent connections to a /24, 1 to 1000
	PerAddress     int              // concurrent connections to an address, 1 to 100
	PingAttempts   int              // 1 to 3
	Encryption     EncryptionPolicy // of nodes without one of their own; never EncryptionDefault
	KeyConfirmed   time.Time        // when the admin confirmed a backup of the key; zero: not yet
	GREPassed      time.Time        // when a session from this machine first passed gre; zero: never
	HistoryRawDays int              // retention of single probes, 1 to 365

	HistoryHourDays int    // retention of hourly sums, 1 to 730
	HistoryDayDays  int    // retention of daily sums, 1 to 3650
	Zone            string // IANA name of the panel's time zone; defaults to this machine's

	ZoneInForce string    // name of the zone of the current periods
	ZoneSince   time.Time // when it came into force

	Speed   SpeedSettings
	Service ServiceSettings
	Monitor MonitorSettings
}

// DefaultSettings returns the settings of a new panel.
func DefaultSettings() Settings {
	return Settings{
		Concurrency: 256, ConnectRate: 100, PerNetwork: 16, PerAddress: 2,
		PingAttempts: 3, Encryption: EncryptionPreferred, HistoryRawDays: 14, HistoryHourDays: 90, HistoryDayDays: 730,
		Speed: DefaultSpeedSettings(), Service: DefaultServiceSettings(), Monitor: DefaultMonitorSettings(),
	}
}

// Check returns the FieldErrors of s.
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

// Retention returns how long the history is kept.
func (s Settings) Retention() Retention {
	return Retention{Raw: s.HistoryRawDays, Hours: s.HistoryHourDays, Days: s.HistoryDayDays}
}
