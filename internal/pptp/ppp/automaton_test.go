package ppp

import (
	"fmt"
	"strings"
	"testing"
)

// The tables of RFC 1661 section 4.1 as printed. The notes r, p and x
// are omitted, as automaton.go says.
const rfcLeft = `
 Up    |    2     irc,scr/6     -         -         -         -
 Down  |    -         -         0       tls/1       0         1
 Open  |  tls/1       1     irc,scr/6     3r        5r        5r
 Close |    0       tlf/0       2         2         4         4
  TO+  |    -         -         -         -       str/4     str/5
  TO-  |    -         -         -         -       tlf/2     tlf/3
 RCR+  |    -         -       sta/2 irc,scr,sca/8   4         5
 RCR-  |    -         -       sta/2 irc,scr,scn/6   4         5
 RCA   |    -         -       sta/2     sta/3       4         5
 RCN   |    -         -       sta/2     sta/3       4         5
 RTR   |    -         -       sta/2     sta/3     sta/4     sta/5
 RTA   |    -         -         2         3       tlf/2     tlf/3
 RUC   |    -         -       scj/2     scj/3     scj/4     scj/5
 RXJ+  |    -         -         2         3         4         5
 RXJ-  |    -         -       tlf/2     tlf/3     tlf/2     tlf/3
 RXR   |    -         -         2         3         4         5`

const rfcRight = `
 Up    |    -         -         -           -
 Down  |    1         1         1         tld/1
 Open  |    6         7         8           9r
 Close |irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
  TO+  |  scr/6     scr/6     scr/8         -
  TO-  | tlf/3p    tlf/3p    tlf/3p         -
 RCR+  |  sca/8   sca,tlu/9   sca/8   tld,scr,sca/8
 RCR-  |  scn/6     scn/7     scn/6   tld,scr,scn/6
 RCA   |  irc/7     scr/6x  irc,tlu/9   tld,scr/6x
 RCN   |irc,scr/6   scr/6x  irc,scr/8   tld,scr/6x
 RTR   |  sta/6     sta/6     sta/6   tld,zrc,sta/5
 RTA   |    6         6         8       tld,scr/6
 RUC   |  scj/6     scj/7     scj/8     scj/9
 RXJ+  |    6         6         8           9
 RXJ-  |  tlf/3     tlf/3     tlf/3   tld,irc,str/5
 RXR   |    6         7         8         ser/9`

func TestAutomatonIsTheRFCs(t *testing.T) {
	names := [...]string{"tlu", "tld", "tls", "tlf", "irc", "zrc", "scr", "sca", "scn", "str", "sta", "scj", "ser"}
	for first, table := range map[State]string{Initial: rfcLeft, ReqSent: rfcRight} {
		e := event(0)
		for line := range strings.Lines(strings.TrimPrefix(table, "\n")) {
			name, cells, _ := strings.Cut(line, "|")
			for i, want := range strings.Fields(cells) {
				s := first + State(i)
				got := "-"
				if c := automaton[e][s]; c != nil {
					var do []string
					for _, a := range c.do {
						do = append(do, names[a])
					}
					got = fmt.Sprint(strings.Join(do, ","), "/", uint8(c.next))
				}
				want = strings.TrimRight(want, "rpx")
				if want != "-" && !strings.Contains(want, "/") {
					want = "/" + want
				}
				if got != want {
					t.Errorf("%s in %v: %s, the RFC has %s", strings.TrimSpace(name), s, got, want)
				}
			}
			e++
		}
		if e != eventsCount {
			t.Fatalf("the table has %d rows", e)
		}
	}
}
