package views

import (
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// SettingsPage is the form of the settings: what was typed, by the name of the
// field, and what is wrong with it.
type SettingsPage struct {
	Values       map[string]string
	Errors       connexa.FieldErrors
	KeyConfirmed time.Time // zero: not yet
	Version      string    // of the program
	Speed        SpeedSetup
	Service      ServiceSetup
	Monitor      MonitorSetup
}

// SettingsOf is the form as the settings fill it.
func SettingsOf(s connexa.Settings) SettingsPage {
	return SettingsPage{
		Values: map[string]string{
			"concurrency":      strconv.Itoa(s.Concurrency),
			"connect_rate":     strconv.Itoa(s.ConnectRate),
			"per_network":      strconv.Itoa(s.PerNetwork),
			"per_address":      strconv.Itoa(s.PerAddress),
			"ping_attempts":    strconv.Itoa(s.PingAttempts),
			"history_raw_days": strconv.Itoa(s.HistoryRawDays),

			"history_hour_days": strconv.Itoa(s.HistoryHourDays),
			"history_day_days":  strconv.Itoa(s.HistoryDayDays),

			"encryption": string(s.Encryption),
			"zone":       s.Zone,
		},
		KeyConfirmed: s.KeyConfirmed,
		Service:      ServiceSetupOf(s.Service),
		Monitor:      MonitorSetupOf(s.Monitor),
	}
}
