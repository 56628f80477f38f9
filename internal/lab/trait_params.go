package lab

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/mschap"
)

func flagTrait(name string, field func(*Session) *bool) trait {
	return trait{
		name: name,
		set:  func(s *Session, _ string) error { *field(s) = true; return nil },
		get:  func(s *Session) (string, bool) { return "", *field(s) },
	}
}

func choiceTrait[T ~string](name string, field func(*Session) *T, of ...T) trait {
	names := make([]string, len(of))
	for i, v := range of {
		names[i] = string(v)
	}
	return trait{
		name: name,
		hint: "one of " + strings.Join(names, ", "),
		set: func(s *Session, param string) error {
			for _, v := range of {
				if string(v) == param {
					*field(s) = v
					return nil
				}
			}
			return errParam
		},
		get: func(s *Session) (string, bool) { return string(*field(s)), *field(s) != "" },
	}
}

func durationTrait(name string, most time.Duration, field func(*Session) *time.Duration) trait {
	return trait{
		name: name,
		hint: fmt.Sprintf("a time up to %v, as in %s:50ms", most, name),
		set: func(s *Session, param string) error {
			d, err := time.ParseDuration(param)
			if err != nil || d <= 0 || d > most {
				return errParam
			}
			*field(s) = d
			return nil
		},
		get: func(s *Session) (string, bool) { return field(s).String(), *field(s) != 0 },
	}
}

func percentTrait(name string, most float64, field func(*Session) *float64) trait {
	return trait{
		name: name,
		hint: fmt.Sprintf("a share up to %g %%, as in %s:2", most, name),
		set: func(s *Session, param string) error {
			p, err := strconv.ParseFloat(strings.TrimSuffix(param, "%"), 64)
			if err != nil || !(p > 0 && p <= most) {
				return errParam
			}
			*field(s) = p
			return nil
		},
		get: func(s *Session) (string, bool) {
			return strconv.FormatFloat(*field(s), 'g', -1, 64), *field(s) != 0
		},
	}
}

// parseText parses a text without the characters that separate a spec of faults.
func parseText(param, signs string) (string, error) {
	if param == "" || len(param) > 200 || strings.ContainsAny(param, signs) {
		return "", errParam
	}
	return strings.ReplaceAll(param, "_", " "), nil
}

func formatText(text string) string { return strings.ReplaceAll(text, " ", "_") }

func setTerminate(s *Session, param string) (err error) {
	s.Terminate, err = parseText(param, "+,=: ")
	return err
}

func getTerminate(s *Session) (string, bool) { return formatText(s.Terminate), s.Terminate != "" }

func setOffers(s *Session, param string) error {
	seen := map[string]bool{}
	for name := range strings.SplitSeq(param, "/") {
		switch Auth(name) {
		case AuthPAP, AuthMD5, AuthMSCHAPv1, AuthMSCHAPv2, AuthEAP, AuthSPAP:
		default:
			return errParam
		}
		if seen[name] {
			return errParam
		}
		seen[name] = true
	}
	s.Offers = param
	return nil
}

func setWrongKeys(s *Session, param string) error {
	switch d := Direction(param); d {
	case "":
		s.WrongKeys = DirectionBoth
	case DirectionSend, DirectionReceive:
		s.WrongKeys = d
	default:
		return errParam
	}
	return nil
}

func getWrongKeys(s *Session) (string, bool) {
	if s.WrongKeys == DirectionBoth {
		return "", true
	}
	return string(s.WrongKeys), s.WrongKeys != ""
}

func setRefuse(s *Session, param string) error {
	if param == "" {
		s.Refuse = mschap.WrongCredentials
		return nil
	}
	n, err := strconv.ParseUint(param, 10, 16)
	if err != nil || n == 0 {
		return errParam
	}
	s.Refuse = int(n)
	return nil
}

func getRefuse(s *Session) (string, bool) { return strconv.Itoa(s.Refuse), s.Refuse != 0 }

func setEndpoint(s *Session, param string) error {
	n, err := strconv.Atoi(param)
	if err != nil || n < 400 || n > 599 {
		return errParam
	}
	s.Endpoint = n
	return nil
}

func getEndpoint(s *Session) (string, bool) { return strconv.Itoa(s.Endpoint), s.Endpoint != 0 }

func setRate(s *Session, param string) (err error) {
	down, up, both := strings.Cut(param, "/")
	if s.RateDown, err = parseRate(down); err != nil {
		return err
	}
	s.RateUp = s.RateDown
	if both {
		s.RateUp, err = parseRate(up)
	}
	return err
}

func getRate(s *Session) (string, bool) {
	if s.RateDown == s.RateUp {
		return formatRate(s.RateDown), s.RateDown != 0
	}
	return formatRate(s.RateDown) + "/" + formatRate(s.RateUp), true
}

var rateUnits = []struct {
	letter string
	factor int64
}{{"G", 1e9}, {"M", 1e6}, {"k", 1e3}, {"", 1}}

func parseRate(text string) (int64, error) {
	for _, u := range rateUnits {
		digits, ok := strings.CutSuffix(text, u.letter)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n <= 0 || n > 100e9/u.factor || n*u.factor < minRate {
			return 0, errParam
		}
		return n * u.factor, nil
	}
	return 0, errParam
}

func formatRate(n int64) string {
	for _, u := range rateUnits {
		if n%u.factor == 0 {
			return strconv.FormatInt(n/u.factor, 10) + u.letter
		}
	}
	return ""
}
