package fleet

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestFields checks that each field of the filter language has a match, and that each
// choice is a field.
func TestFields(t *testing.T) {
	f := New()
	f.Apply(nil, makeNodes(100))
	values := map[connexa.FieldKind]string{connexa.ChoiceField: connexa.NoValue, connexa.NumberField: "1", connexa.AgeField: connexa.NoValue, connexa.SetField: "run/1"}
	sets := func(connexa.NodeSet) ([]int64, error) { return nil, nil }
	for _, field := range connexa.Fields() {
		if _, err := f.Count(connexa.FilterBy(field.Name, values[field.Kind]), sets, now); err != nil {
			t.Error(field.Name, err)
		}
	}
	for _, name := range ChoiceNames {
		if connexa.FieldNamed(name) == nil {
			t.Errorf("the choice %q is no field", name)
		}
	}
}

// TestTextsIgnoreCase checks that values match in any case, that the names of states find
// their codes, and that facets keep the stored texts.
func TestTextsIgnoreCase(t *testing.T) {
	node := func(id int64, country, state, city, provider, asn, tags string) Node {
		n := Node{ID: id}
		n.Choices[choiceCountry], n.Choices[choiceState], n.Choices[choiceCity] = country, state, city
		n.Choices[choiceProvider], n.Choices[choiceASN], n.Choices[choiceTags] = provider, asn, tags
		return n
	}
	f := New()
	f.Apply(nil, []Node{
		node(1, "DE", "Berlin", "Berlin", "Ромашка", "AS64500", ",old,Client A,"),
		node(2, "US", "WA", "Seattle", "", "", ",Old,"),
		node(3, "AU", "WA", "Perth", "", "", ""),
		node(4, "", "wa", "", "", "", ",gold,"),
		node(5, "US", "washington", "", "", "", ""),
		node(6, "US", "US-WA", "", "", "", ""),
		node(7, "US", "", "", "", "", ""),
	})
	for text, want := range map[string][]int64{
		"tag:OLD":                   {1, 2},
		`tag:"client a",GOLD`:       {1, 4},
		"-tag:oLd city:SEATTLE,-":   {4, 5, 6, 7},
		"city:berlin":               {1},
		"provider:ромашка":          {1},
		"asn:as64500":               {1},
		"country:de":                {1},
		"state:wa":                  {2, 3, 4},
		"state:Washington":          {2, 4, 5, 6},
		"state:WASHINGTON,-":        {2, 4, 5, 6, 7},
		"-state:Washington":         {1, 3, 7},
		"state:Oregon":              nil,
		"state:Washing":             nil,
		"state:WA country:AU,DE,US": {2, 3},
	} {
		filter, err := connexa.ReadFilter(text)
		if err != nil {
			t.Fatal(text, err)
		}
		if got, err := f.IDs(filter, nil, now); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v; want %v", text, got, err, want)
		}
	}
	facets, err := f.Facets(connexa.FilterBy("tag", "OLD"), nil, now)
	if want := []connexa.Facet{{Value: "Client A", Count: 1}, {Value: "Old", Count: 1}, {Value: "gold", Count: 1}, {Value: "old", Count: 1}}; err != nil || !slices.Equal(facets.Tags, want) {
		t.Errorf("got the tags %v, %v; want %v", facets.Tags, err, want)
	}
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// makeNodes returns n nodes that resemble a real fleet.
func makeNodes(n int) []Node {
	rng := rand.New(rand.NewPCG(1, 1))
	pick := func(list ...string) string { return list[min(int(rng.ExpFloat64()*float64(len(list))/4), len(list)-1)] }
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{
			ID: int64(i + 1), Address: fmt.Sprintf("%d.%d.%d.%d", 1+rng.IntN(200), rng.IntN(256), rng.IntN(256), rng.IntN(256)),
			Login: fmt.Sprintf("user%d", rng.IntN(n/3)), Comment: pick("", "", "moved in May"), Port: 1723,
			Latency: int64(rng.IntN(300_000)), Lost: int64(rng.IntN(4)) * 333, Down: int64(rng.IntN(100)) * 1e6,
			Checked: now.Add(-time.Duration(rng.IntN(100_000)) * time.Second).UnixMilli(), Added: now.Add(-time.Duration(n-i) * time.Second).UnixMilli(),
			Suspect: rng.IntN(50) == 0, Flapping: rng.IntN(200) == 0,
		}
		if rng.IntN(9) == 0 {
			nodes[i].Address = fmt.Sprintf("vpn%d.example.net", i)
		}
		country := pick("US", "DE", "RU", "NL", "FR", "BR", "")
		nodes[i].Choices = [choiceFields]string{
			choiceStatus: pick("login_ok", "speed_ok", "login_failed", "tunnel_failed", "ping_failed", "speed_slow", "ping_ok"),
			choiceStep:   pick("ip", "internet", "auth", "tcp", "gre"), choiceCause: pick("", "auth.691", "tcp.timeout", "gre.no_inbound"),
			choiceCountry: country, choiceState: pick("", "TX", "CA", "WA"), choiceCity: fmt.Sprintf("city %d", rng.IntN(2000)),
			choiceProvider: fmt.Sprintf("Provider %d", int(rng.ExpFloat64()*40)), choiceASN: fmt.Sprintf("AS%d", 64500+int(rng.ExpFloat64()*20)),
			choiceTags: pick("", ",old,", ",resale,", ",old,resale,"),
		}
	}
	return nodes
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkFind asks for a page in the middle and the facets of a million nodes, without
// the database.
func BenchmarkFind(b *testing.B) {
	const n = 1_000_000
	before := heap()
	f := New()
	f.Apply(nil, makeNodes(n))
	b.Logf("%.1f MiB for 100,000 nodes", float64(heap()-before)/(1<<20)/(n/100_000))
	for _, text := range []string{
		"", "status:login_ok", "country:US", "-tag:old", "moved", "vpn777", "speed>20", "latency<80 loss<10", "checked<9h",
		"status:login_ok,speed_ok,speed_slow country:US,DE latency<200 -tag:old city",
	} {
		filter, err := connexa.ReadFilter(text)
		if err != nil {
			b.Fatal(err)
		}
		ids, err := f.IDs(filter, nil, now)
		if err != nil {
			b.Fatal(err)
		}
		for i := range 2 * len(connexa.SortKeys()) {
			q := connexa.ListQuery{Filter: filter, Sort: connexa.Sort{Key: connexa.SortKeys()[i/2], Desc: i%2 == 1}, Size: 50}
			q.Cursor = f.CursorAfter(f.Ordered(ids, q.Sort)[:len(ids)/2], q.Sort)
			b.Run(fmt.Sprintf("%s/%s", text, q.Sort), func(b *testing.B) {
				var took []time.Duration
				for b.Loop() {
					start := time.Now()
					if _, _, err := f.List(q, nil, now); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(start))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
