package views

import (
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// SettingsPage is the settings form: the values that were typed and their errors, by
// field name.
type SettingsPage struct {
	Values       map[string]string
	Errors       connexa.FieldErrors
	KeyConfirmed time.Time // zero if not confirmed yet
	Version      string    // version of the program
	Speed        SpeedSetup
	Service      ServiceSetup
	Monitor      MonitorSetup
}

// SettingsOf returns the form filled with s.
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
