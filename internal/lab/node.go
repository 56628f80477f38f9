package lab

import (
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// Node is one server of a fleet. Everything except its address is generated.
type Node struct {
	Addr      netip.AddrPort
	Login     string
	Password  string
	Country   string // ISO 3166, two letters
	State     string
	City      string
	Zip       string
	Provider  string
	Tags      []string
	Server    control.Server // how it identifies itself
	Behaviour Behaviour
}

// isPPPD reports whether the server behaves like pptpd with pppd.
func (n *Node) isPPPD() bool { return n.Server.Vendor == servers[0].Vendor }

// Exit returns the address that the server's clients have on the internet.
func (n Node) Exit() netip.Addr { return n.Addr.Addr() }

// Comment returns the node's comment in the import file.
func (n Node) Comment() string { return "lab: " + n.Behaviour.String() }

type place struct{ country, state, city, zip string }

// The places are real, so that a panel can translate their names.
var places = []place{
	{"US", "CA", "Los Angeles", "90001"},
	{"US", "CA", "San Jose", "95110"},
	{"US", "TX", "Austin", "78701"},
	{"US", "TX", "Dallas", "75201"},
	{"US", "NY", "Buffalo", "14201"},
	{"US", "AZ", "Phoenix", "85001"},
	{"US", "MA", "Boston", "02108"},
	{"US", "WA", "Seattle", "98101"},
	{"US", "FL", "Miami", "33101"},
	{"CA", "ON", "Toronto", "M5H 2N2"},
	{"CA", "QC", "Montréal", "H2Y 1C6"},
	{"DE", "BY", "München", "80331"},
	{"DE", "HE", "Frankfurt am Main", "60311"},
	{"DE", "SN", "Leipzig", "04109"},
	{"NL", "NH", "Amsterdam", "1012 AB"},
	{"GB", "ENG", "Manchester", "M1 1AE"},
	{"FR", "IDF", "Paris", "75001"},
	{"FR", "HDF", "Roubaix", "59100"},
	{"PL", "14", "Warszawa", "00-001"},
	{"CZ", "10", "Praha", "110 00"},
	{"FI", "18", "Helsinki", "00100"},
	{"SE", "AB", "Stockholm", "111 20"},
	{"RO", "B", "București", "010011"},
	{"TR", "34", "İstanbul", "34110"},
	{"KZ", "75", "Алматы", "050000"},
	{"JP", "13", "東京", "100-0001"},
	{"SG", "", "Singapore", "018956"},
	{"BR", "SP", "São Paulo", "01000-000"},
}

var (
	providers = []string{
		"Northgate Hosting", "Bluebarn Servers", "Lindwurm Netz", "Tramontane", "Kestrel Colo", "Ost & West GmbH",
		"Paper Crane Cloud", "Harbour, Light & Co.", "Семь Холмов",
	}
	tags   = []string{"edge", "trial", "prod", "backup", "batch-1", "batch-2", "old rack", "резерв"}
	logins = []string{"ops", "vpn", "relay", "exit", "fleet", "night", "depot", "field"}
	words  = []string{
		"Blue", "Kite", "River", "Copper", "Lantern", "Maple", "Orbit", "Pepper", "Quartz", "Saddle", "Timber", "Violet",
	}

	// How real servers identify themselves: pptpd, accel-ppp, RouterOS, Windows.
	servers = []control.Server{
		{Vendor: "linux", Host: "local", Firmware: 1},
		{Vendor: "cananian", Host: "local", Firmware: 1},
		{Vendor: "MikroTik", Host: "MikroTik", Firmware: 1},
		{Vendor: "Microsoft", Host: "", Firmware: 3790},
	}
)

// vendors maps each Vendor to its server.
var vendors = map[Vendor]control.Server{
	VendorPPTPD: servers[0], VendorAccel: servers[1], VendorMikroTik: servers[2], VendorMicrosoft: servers[3],
}

// foreignPassword is the password of nodes with Session.Password set.
const foreignPassword = "Пароль-7"

func inventNode(addr netip.AddrPort, b Behaviour, rnd *rand.Rand) Node {
	p := places[rnd.IntN(len(places))]
	n := Node{
		Addr:      addr,
		Login:     fmt.Sprintf("%s%d", pickString(rnd, logins), 1+rnd.IntN(99)),
		Password:  inventPassword(rnd),
		Country:   p.country,
		State:     p.state,
		City:      p.city,
		Zip:       p.zip,
		Provider:  pickString(rnd, providers),
		Server:    servers[rnd.IntN(len(servers))],
		Behaviour: b,
	}
	if server, ok := vendors[b.Session.Vendor]; ok {
		n.Server = server
	}
	if b.Session.Password != "" {
		n.Password = foreignPassword
	}
	for _, i := range rnd.Perm(len(tags))[:rnd.IntN(4)] {
		n.Tags = append(n.Tags, tags[i])
	}
	return n
}

// inventPassword returns a password; one in fifty contains characters that may break an
// import.
func inventPassword(rnd *rand.Rand) string {
	p := fmt.Sprintf("%s-%s-%d", pickString(rnd, words), pickString(rnd, words), rnd.IntN(1000))
	if rnd.IntN(50) == 0 {
		p += pickString(rnd, []string{`,"quoted"`, `:colon:`, ` space`, `;semi`, `%41#`})
	}
	return p
}

func pickString(rnd *rand.Rand, from []string) string { return from[rnd.IntN(len(from))] }

// WriteCSV writes the fleet in the format of the panel's import.
func (f *Fleet) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	row := strings.Split("address,port,login,password,country,state,city,zip,provider,comment,tags", ",")
	if err := out.Write(row); err != nil {
		return fmt.Errorf("write the header: %w", err)
	}
	for _, n := range f.nodes {
		row = append(row[:0],
			n.Addr.Addr().String(), strconv.Itoa(int(n.Addr.Port())), n.Login, n.Password,
			n.Country, n.State, n.City, n.Zip, n.Provider, n.Comment(), strings.Join(n.Tags, ";"))
		if err := out.Write(row); err != nil {
			return fmt.Errorf("write %v: %w", n.Addr, err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write the fleet: %w", err)
	}
	return nil
}
