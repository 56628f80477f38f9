package i18n

// Volume formats an amount of traffic in decimal units, as providers do.
func (p *Printer) Volume(n int64) string {
	units := []string{"unit.kb", "unit.mb", "unit.gb", "unit.tb"}
	f, i := float64(n)/1e3, 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1e3, i+1
	}
	digits := 0
	if f < 10 && f != float64(int64(f)) {
		digits = 1
	}
	return p.T(units[i], p.Decimal(f, digits))
}
