package i18n

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// noBreak is U+202F, the narrow no-break space. It keeps a number and its unit, and
// the digit groups of a Russian number, on one line.
const noBreak = "\u202f"

// formatValue formats one argument of a sentence.
func (p *Printer) formatValue(a any) string {
	switch v := a.(type) {
	case string:
		return v
	case connexa.Text:
		return p.Text(v)
	case time.Duration:
		return p.Duration(v)
	case time.Time:
		return p.Exact(v)
	case nil:
		return ""
	}
	if n, ok := wholeNumber(a); ok {
		return p.Number(n)
	}
	if f, ok := a.(float64); ok {
		return p.Decimal(f, 1)
	}
	return fmt.Sprint(a)
}

// Number formats n with digit groups: 4,688 or 4 688.
func (p *Printer) Number(n int64) string {
	return p.groupDigits(strconv.FormatInt(n, 10))
}

// groupDigits inserts group separators into the integer part of a number.
func (p *Printer) groupDigits(digits string) string {
	sign, digits := cutSign(digits)
	if len(digits) <= 3 {
		return sign + digits
	}
	separator := ","
	if p.lang == Russian {
		separator = noBreak
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, d := range []byte(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(separator)
		}
		b.WriteByte(d)
	}
	return b.String()
}

func cutSign(digits string) (sign, rest string) {
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		return "−", rest
	}
	return "", digits
}

// Decimal formats f with the given number of digits after the point or comma. NaN and
// infinities become a dash.
func (p *Printer) Decimal(f float64, digits int) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "–"
	}
	intPart, fraction, has := strings.Cut(strconv.FormatFloat(f, 'f', digits, 64), ".")
	s := p.groupDigits(intPart)
	if !has {
		return s
	}
	if p.lang == Russian {
		return s + "," + fraction
	}
	return s + "." + fraction
}

// Percent formats a share from 0 to 1: 1% or 1 %. Rounding never yields 0 % or 100 %
// for other shares.
func (p *Printer) Percent(share float64) string {
	n := math.Round(share * 100)
	switch {
	case share > 0 && n < 1:
		n = 1
	case share < 1 && n > 99:
		n = 99
	}
	return p.T("unit.percent", p.Decimal(n, 0))
}

// Speed formats bits per second as Mbit/s, or as kbit/s below 0.1 Mbit/s.
func (p *Printer) Speed(bits int64) string {
	switch mbit := float64(bits) / 1e6; {
	case mbit < 0.1:
		return p.T("unit.kbit", p.Decimal(float64(bits)/1e3, 0))
	case mbit < 100:
		return p.T("unit.mbit", p.Decimal(mbit, 1))
	default:
		return p.T("unit.mbit", p.Decimal(mbit, 0))
	}
}

// Bytes formats a size in binary units.
func (p *Printer) Bytes(n int64) string {
	units := []string{"unit.byte", "unit.kib", "unit.mib", "unit.gib"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	digits := 0
	if i > 0 && f < 100 {
		digits = 1
	}
	return p.T(units[i], p.Decimal(f, digits))
}
