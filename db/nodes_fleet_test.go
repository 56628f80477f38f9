package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// fleetStart is the time at which the nodes of test fleets were added.
var fleetStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// openFleet opens a new database.
func openFleet(tb testing.TB) *DB {
	tb.Helper()
	return openFleetWith(tb, Options{})
}

// openFleetAt opens a new database whose clock stands still.
func openFleetAt(tb testing.TB, now time.Time) *DB {
	tb.Helper()
	return openFleetWith(tb, Options{Now: func() time.Time { return now }})
}

func openFleetWith(tb testing.TB, o Options) *DB {
	tb.Helper()
	o.Dir = tb.TempDir()
	d, err := Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

var (
	fleetProviders = []string{"Northwind Hosting", "Blue Ridge VPS", "Käse & Söhne", "Ромашка", "100% Uptime_Ltd", ""}
	fleetPlaces    = []struct{ country, state, city string }{
		{"US", "TX", "Austin"}, {"US", "CA", "Los Angeles"}, {"US", "CA", "San Jose"}, {"US", "", ""}, {"DE", "", "Köln"},
		{"RU", "", "Тверь"}, {"NL", "", "Amsterdam"}, {"FR", "", ""}, {"BR", "SP", "São Paulo"}, {"", "", "somewhere"}, {"", "", ""},
	}
	fleetTags     = []string{"resale", "old", "Old", "spare", "client a", "client ab", "тест"}
	fleetComments = []string{"", "", "", "moved in May", "Ask Ännchen", "50%_off"}
	fleetCauses   = []connexa.Cause{"tcp.refused", "tcp.timeout", "control.silent", "gre.no_inbound", "auth.691", "auth.647"}
)

// skewedFleet picks a low index most of the time, as real fleets do.
func skewedFleet(rng *rand.Rand, n int) int {
	return min(int(rng.ExpFloat64()*float64(n)/4), n-1)
}

// makeFleet returns n nodes with few different values, so that keys are often equal, and
// many missing ones. The same seed gives the same fleet.
func makeFleet(seed uint64, n int) []connexa.Node {
	rng := rand.New(rand.NewPCG(seed, 1))
	nodes := make([]connexa.Node, n)
	for i := range nodes {
		v := &nodes[i]
		*v = connexa.Node{
			Address: fmt.Sprintf("%d.%d.%d.%d", 5+skewedFleet(rng, 200), rng.IntN(256), rng.IntN(256), 1+rng.IntN(254)),
			Port:    connexa.DefaultPort, Login: fmt.Sprintf("user%d", rng.IntN(max(n/3, 2))), Revision: 1,
			Provider: fleetProviders[skewedFleet(rng, len(fleetProviders))], Comment: fleetComments[rng.IntN(len(fleetComments))],
			Verdict: connexa.Verdict{Status: connexa.NotTested}, CreatedAt: fleetStart.Add(time.Duration(i/7) * time.Second),
		}
		if rng.IntN(9) == 0 {
			v.Address = fmt.Sprintf("vpn%d.example.net", rng.IntN(n))
		}
		if rng.IntN(20) == 0 {
			v.Port = 1024 + rng.IntN(9)
		}
		place := fleetPlaces[skewedFleet(rng, len(fleetPlaces))]
		v.Country, v.State, v.City = place.country, place.state, place.city
		v.Encryption = fleetPolicies[rng.IntN(len(fleetPolicies))]
		v.ASN = fleetASNs[rng.IntN(len(fleetASNs))]
		for _, tag := range fleetTags {
			if rng.IntN(10) == 0 {
				v.Tags = append(v.Tags, tag)
			}
		}
		v.Last.Reached, v.Basis.Reached = connexa.NoStep, connexa.NoStep
		if rng.IntN(10) > 0 {
			probeNode(rng, v)
		}
	}
	return nodes
}

var fleetPolicies = []connexa.EncryptionPolicy{connexa.EncryptionDefault, connexa.EncryptionDefault, connexa.EncryptionRequired, connexa.EncryptionOff}

var fleetASNs = []string{"", "", "AS64500", "AS64501"}

// probeNode invents the result of a last probe.
func probeNode(rng *rand.Rand, v *connexa.Node) {
	v.Status = connexa.Statuses()[1+skewedFleet(rng, len(connexa.Statuses())-1)]
	v.Last = connexa.Outcome{Kind: connexa.Ping, At: fleetStart.Add(time.Duration(rng.IntN(5000)) * time.Second), Attempts: 1 + rng.IntN(3)}
	v.Last.Lost = rng.IntN(v.Last.Attempts + 1)
	v.Last.Reached = connexa.StepAt(rng.IntN(11))
	if !v.Status.Validated() {
		v.Last.Cause = fleetCauses[skewedFleet(rng, len(fleetCauses))]
	} else {
		v.Last.Kind = connexa.Speed
		if rng.IntN(15) == 0 {
			v.Failures = connexa.FailureStreaks{NoAnswer: rng.IntN(2), NoTunnel: rng.IntN(2), LoginRefused: rng.IntN(2)}
		}
		if rng.IntN(3) > 0 {
			v.Last.DownBits, v.Last.UpBits = int64(1+rng.IntN(50))*1e6, int64(1+rng.IntN(20))*1e6
		}
	}
	v.Basis = connexa.Basis{Kind: v.Last.Kind, At: v.Last.At, Reached: v.Last.Reached, Cause: v.Last.Cause}
	if rng.IntN(3) == 0 { // a later ping that did not set the status
		v.Basis.At = v.Last.At.Add(-time.Minute)
		v.Last.Kind, v.Last.Reached, v.Last.Cause = connexa.Ping, connexa.Control, ""
	}
	if v.Last.Reached.Index() >= 2 {
		v.Last.Latency = time.Duration(10+rng.IntN(300)) * time.Millisecond
		v.Last.Control = v.Last.Latency * 2
	}
}

// putFleet stores nodes with the panel's inserter, and then the results of their last
// probes. It sets their IDs. It leaves out duplicates.
func putFleet(tb testing.TB, d *DB, nodes []connexa.Node) []connexa.Node {
	tb.Helper()
	var out []connexa.Node
	err := d.inTx(context.Background(), func(tx *sql.Tx) error {
		ins, err := d.insertNodes(context.Background(), tx, fleetStart, 0)
		if err != nil {
			return err
		}
		defer ins.close()
		probe, err := tx.Prepare(`UPDATE nodes SET status=?, silences=?, tunnel_failures=?, refusals=?, kind=?, reached=?, cause=?,
			latency=?, control=?, attempts=?, lost=?, down=?, up=?, checked_at=nullif(?,0), created_at=?,
			basis_kind=?, basis_reached=?, basis_cause=?, basis_at=nullif(?,0) WHERE id=?`)
		if err != nil {
			return err
		}
		defer probe.Close()
		for _, n := range nodes {
			if n.ID, err = ins.insertNode(context.Background(), &n, connexa.Secret("pw-"+n.Login)); err != nil {
				return err
			}
			if n.ID == 0 {
				continue
			}
			o := n.Last
			if _, err := probe.Exec(n.Status, n.Failures.NoAnswer, n.Failures.NoTunnel, n.Failures.LoginRefused, o.Kind, o.Reached.Index(), o.Cause,
				toMicros(o.Latency), toMicros(o.Control), o.Attempts, o.Lost, positiveOrNil(o.DownBits), positiveOrNil(o.UpBits), toMillis(o.At),
				toMillis(n.CreatedAt), n.Basis.Kind, n.Basis.Reached.Index(), n.Basis.Cause, toMillis(n.Basis.At), n.ID); err != nil {
				return err
			}
			out = append(out, n)
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// matchesFilter is the definition of the filter at fleetNow, without the fleet in memory.
func matchesFilter(f connexa.Filter, n *connexa.Node) bool {
	return !slices.ContainsFunc(f.Terms, func(t connexa.Term) bool { return matchesTerm(t, n) == t.Not })
}

// fleetNow is the time at which tests filter by ages.
var fleetNow = fleetStart.Add(90 * time.Minute)

func matchesTerm(t connexa.Term, n *connexa.Node) bool {
	values := make(map[string]bool)
	for _, v := range t.Values {
		values[strings.ToLower(v)] = true
	}
	number := func(v float64, known bool) bool {
		if t.Op == connexa.OpIs {
			return known && values[strconv.FormatFloat(v, 'f', -1, 64)] || !known && values[connexa.NoValue]
		}
		bound, err := strconv.ParseFloat(t.Values[0], 64)
		return known && err == nil && holds(t.Op, cmp.Compare(v, bound))
	}
	age := func(at time.Time) bool {
		if t.Op == connexa.OpIs {
			return at.IsZero()
		}
		bound, err := connexa.ParseAge(t.Values[0])
		return !at.IsZero() && err == nil && holds(t.Op, cmp.Compare(fleetNow.Sub(at), bound))
	}
	switch t.Field {
	case "":
		texts := append([]string{n.Address, n.Login}, n.Tags...)
		for _, c := range connexa.Columns() {
			texts = append(texts, *c.Value(n))
		}
		return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(t.Values[0])) })
	case "status":
		return values[string(n.Status)]
	case "step":
		return !n.Last.At.IsZero() && values[string(n.Basis.Reached)] || n.Last.At.IsZero() && values[connexa.NoValue]
	case "cause":
		return values[cmp.Or(string(n.Basis.Cause), connexa.NoValue)]
	case "tag":
		return slices.ContainsFunc(n.Tags, func(tag string) bool { return values[strings.ToLower(tag)] }) || len(n.Tags) == 0 && values[connexa.NoValue]
	case "encryption":
		return values[cmp.Or(string(n.Encryption), connexa.NoValue)]
	case "is":
		return values[connexa.IsSuspect] && n.Failures.Suspect() || values[connexa.IsFlapping] && n.Flapping
	case "port":
		return number(float64(n.Port), true)
	case "speed":
		return number(float64(n.Last.DownBits/1000)/1000, n.Last.DownBits > 0)
	case "latency":
		return number(float64(n.Last.Latency.Microseconds())/1000, n.Last.Latency > 0)
	case "loss":
		return number(float64(n.Last.Lost*1000/max(n.Last.Attempts, 1))/10, n.Last.Attempts > 0)
	case "checked":
		return age(n.Last.At)
	case "added":
		return age(n.CreatedAt)
	case "state":
		names := map[string]string{"TX": "texas", "CA": "california"} // those of fleetPlaces
		if values[names[n.State]] && (n.Country == "US" || n.Country == "") {
			return true
		}
	}
	return values[strings.ToLower(cmp.Or(*connexa.ColumnNamed(t.Field).Value(n), connexa.NoValue))]
}

func holds(op connexa.Op, compared int) bool {
	switch op {
	case connexa.OpLess:
		return compared < 0
	case connexa.OpMost:
		return compared <= 0
	case connexa.OpMore:
		return compared > 0
	}
	return compared >= 0
}
