package importer

import (
	"strings"
	"sync"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Country returns the ISO 3166-1 alpha-2 code of a country, given by its code of two
// or three letters or by its English or Russian name. For an empty s it returns "" and
// true.
func Country(s string) (code string, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", true
	}
	if len(s) == 2 {
		if code = strings.ToUpper(s); connexa.KnownCountry(code) {
			return code, true
		}
	}
	code, ok = countries()[countryKey(s)]
	return code, ok
}

var countryMarks = strings.NewReplacer("ё", "е", "&", " and ", ".", "", "'", "", "’", "", "-", " ", "(", " ", ")", " ", ",", " ")

// countryKey returns a name in lower case, without punctuation and filler words.
func countryKey(s string) string {
	s = strings.ToLower(s)
	s = countryMarks.Replace(s)
	words := strings.Fields(s)
	if len(words) > 1 && words[0] == "the" {
		words = words[1:]
	}
	return strings.Join(words, " ")
}

// countries maps English and Russian names to codes. It is built at the first use.
var countries = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for code, names := range countryAliases {
		for name := range strings.SplitSeq(names, ";") {
			m[countryKey(name)] = code
		}
	}
	english, russian := display.English.Regions(), display.Russian.Regions()
	for _, code := range connexa.Countries() {
		region, err := language.ParseRegion(code)
		if err != nil {
			continue
		}
		for _, name := range []string{english.Name(region), russian.Name(region), region.ISO3()} {
			if name == "" || name == "ZZZ" {
				continue
			}
			if k := countryKey(name); m[k] == "" {
				m[k] = code
			}
		}
	}
	return m
})

// countryAliases are names in common use beside those of the Unicode CLDR.
var countryAliases = map[string]string{
	"AE": "uae;emirates;оаэ;эмираты;арабские эмираты;united arab emirates",
	"BA": "bosnia;bosnia and herzegovina;босния;босния и герцеговина",
	"BO": "bolivia;боливия",
	"BN": "brunei;brunei darussalam;бруней",
	"BY": "belarus;byelorussia;belorussia;белоруссия;беларусь;республика беларусь",
	"CD": "dr congo;drc;democratic republic of the congo;дрк;демократическая республика конго",
	"CG": "congo;republic of the congo;конго;республика конго",
	"CI": "ivory coast;cote d'ivoire;кот-д'ивуар;берег слоновой кости",
	"CN": "china;prc;people's republic of china;mainland china;китай;кнр",
	"CV": "cape verde;cabo verde;кабо-верде",
	"CZ": "czech;czech republic;czechia;чехия;чешская республика",
	"DE": "germany;deutschland;frg;германия;фрг",
	"ES": "spain;españa;espana;испания",
	"FK": "falkland islands",
	"FM": "micronesia;federated states of micronesia;микронезия",
	"GB": "uk;great britain;britain;united kingdom;united kingdom of great britain and northern ireland;england;scotland;wales;northern ireland;gb;великобритания;англия;британия;соединенное королевство;шотландия;уэльс",
	"HK": "hong kong;hongkong;hong kong sar;гонконг",
	"IR": "iran;islamic republic of iran;iran islamic republic of;иран",
	"KG": "kyrgyzstan;kyrgyz republic;кыргызстан;киргизия;киргизстан",
	"KP": "north korea;dprk;северная корея;кндр",
	"KR": "south korea;korea;republic of korea;korea republic of;южная корея;корея;республика корея",
	"LA": "laos;lao pdr;lao people's democratic republic;лаос",
	"LT": "lithuania;литва",
	"LV": "latvia;латвия",
	"MD": "moldova;republic of moldova;moldova republic of;молдова;молдавия",
	"MK": "macedonia;north macedonia;македония;северная македония",
	"MM": "burma;myanmar;бирма;мьянма",
	"MO": "macau;macao;макао",
	"NL": "netherlands;the netherlands;holland;нидерланды;голландия",
	"PS": "palestine;palestinian territories;палестина",
	"RU": "russia;russian federation;rf;россия;рф;российская федерация",
	"SY": "syria;syrian arab republic;сирия",
	"SZ": "swaziland;eswatini;свазиленд;эсватини",
	"TL": "east timor;timor-leste;восточный тимор",
	"TM": "turkmenistan;туркменистан;туркмения",
	"TR": "turkey;türkiye;turkiye;турция",
	"TW": "taiwan;taiwan province of china;тайвань",
	"TZ": "tanzania;united republic of tanzania;танзания",
	"US": "us;usa;united states;united states of america;america;u s;u s a;сша;соединенные штаты;соединенные штаты америки;америка;штаты",
	"VA": "vatican;holy see;ватикан",
	"VE": "venezuela;venezuela bolivarian republic of;венесуэла",
	"VN": "vietnam;viet nam;вьетнам",
	"XK": "kosovo;косово",
	"ZA": "south africa;rsa;юар;южная африка",
}
