package connexa

import "strings"

// usStates has the codes (ISO 3166-2:US, without "US-") and the English names of the
// states of the United States, their district and their territories, in lower case.
const usStates = "al alabama;ak alaska;az arizona;ar arkansas;ca california;co colorado;ct connecticut;de delaware;" +
	"dc district of columbia;fl florida;ga georgia;hi hawaii;id idaho;il illinois;in indiana;ia iowa;ks kansas;ky kentucky;la louisiana;" +
	"me maine;md maryland;ma massachusetts;mi michigan;mn minnesota;ms mississippi;mo missouri;mt montana;ne nebraska;nv nevada;" +
	"nh new hampshire;nj new jersey;nm new mexico;ny new york;nc north carolina;nd north dakota;oh ohio;ok oklahoma;or oregon;" +
	"pa pennsylvania;ri rhode island;sc south carolina;sd south dakota;tn tennessee;tx texas;ut utah;vt vermont;va virginia;" +
	"wa washington;wv west virginia;wi wisconsin;wy wyoming;pr puerto rico;gu guam;vi virgin islands;as american samoa;mp northern mariana islands"

var usCodes, usNames = func() (codes map[string]bool, names map[string]string) {
	codes, names = map[string]bool{}, map[string]string{}
	for pair := range strings.SplitSeq(usStates, ";") {
		code, name, _ := strings.Cut(pair, " ")
		codes[code], names[name] = true, code
	}
	return codes, names
}()

// IsUSState reports whether s is a code or an English name of a state of the United
// States, its district or its territories. The case of letters does not matter.
func IsUSState(s string) bool {
	s = lowerWords(s)
	return usCodes[s] || usNames[s] != ""
}

// USStateCode returns the code of the state of the United States with an English name:
// "WA" for "Washington", without regard to case. It is empty for any other text.
func USStateCode(name string) string { return strings.ToUpper(usNames[lowerWords(name)]) }

func lowerWords(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }
