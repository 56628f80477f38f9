package importer

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// maxPPP is the maximum number of peers, and of secrets, in one text.
const maxPPP = 10_000

// ppp reads files of pppd (pppd(8)) for pptp-linux: the options of a peer name the server
// and the login, and chap-secrets has the password. The two may come in any order, so
// their rows come at the end of the text. Lines such as "==> /etc/ppp/peers/office <==",
// which tail(1) writes, name the files; without them, all options belong to one peer.
type ppp struct {
	file      string // the name of the current file, or ""
	inSecrets bool   // lines are of a list of secrets
	peer      *peer  // of the current file, or nil
	peers     []*peer
	secrets   []secret
	full      bool // maxPPP is reached
}

// peer contains the options of one peer.
type peer struct {
	line    int
	file    string
	values  map[string]string // of the options in peerOptions
	other   bool              // it does not use PPTP
	problem connexa.Text
}

// secret is a line of chap-secrets.
type secret struct {
	line                     int
	client, server, password string
	used                     bool
}

var (
	fileLine    = regexp.MustCompile(`^==> (.+) <==$`)
	secretsLine = regexp.MustCompile(`(?i)^#\s*(client\s+server\s+secret|secrets for authentication)`)
	pppText     = regexp.MustCompile(`(?mi)^(==> .+/ppp/.+ <==|#\s*client\s+server\s+secret|pty\s+\S*.*\bpptp\b)`)
)

// isPPP reports whether head is of files of pppd.
func isPPP(head []byte) bool { return pppText.Match(head) }

// takeLine reads a line of a file of pppd; of is false if it is none.
func (p *ppp) takeLine(number int, s string) (of bool) {
	if m := fileLine.FindStringSubmatch(s); m != nil {
		p.file, p.peer = path.Base(m[1]), nil
		p.inSecrets = strings.HasSuffix(p.file, "-secrets")
		return true
	}
	if secretsLine.MatchString(s) {
		p.inSecrets = true
		return true
	}
	if isComment([]byte(s)) || len(s) > maxRaw {
		return false
	}
	words, ok := pppWords(s)
	if !ok || len(words) == 0 {
		return false
	}
	isAddress := addressLike(words[0])
	switch {
	case p.inSecrets && len(words) >= 3 && !isAddress, len(words) == 4 && words[3] == "*" && !isAddress:
		p.addSecret(secret{line: number, client: words[0], server: words[1], password: words[2]})
		return true
	case p.inSecrets && p.file == "":
		p.inSecrets = false
	}
	if _, known := pppOptions[words[0]]; !known || len(words) > 1 && strings.ContainsAny(words[1][:min(1, len(words[1]))], "=:") {
		return false
	}
	p.addOptions(number, words)
	return true
}

func (p *ppp) addSecret(s secret) {
	if p.full = p.full || len(p.secrets) == maxPPP; !p.full {
		p.secrets = append(p.secrets, s)
	}
}

// addOptions adds a line of options to the current peer.
func (p *ppp) addOptions(number int, words []string) {
	if p.peer == nil {
		if p.full = p.full || len(p.peers) == maxPPP; p.full {
			return
		}
		p.peer = &peer{line: number, file: p.file, values: map[string]string{}}
		p.peers = append(p.peers, p.peer)
	}
	for len(words) > 0 {
		name := words[0]
		arguments := min(pppOptions[name], len(words)-1)
		if arguments == 1 {
			p.peer.setOption(name, words[1])
		}
		words = words[1+arguments:]
	}
}

// setOption stores an option that describes the server.
func (p *peer) setOption(name, value string) {
	switch name {
	case "pty":
		host, ok := pptpHost(value)
		if !ok {
			p.other = true
			return
		}
		name, value = "pptp_server", host
	case "plugin":
		p.other = p.other || path.Base(value) != "pptp.so"
		return
	case "connect":
		p.other = true
		return
	case "pptp_server", "name", "user", "remotename", "password", "ipparam":
	default:
		return
	}
	if _, twice := p.values[name]; twice {
		p.problem = connexa.T("import.bad.ppp_files")
	}
	p.values[name] = value
}

// pptpHost returns the server in the command line of pptp(8).
func pptpHost(command string) (host string, ok bool) {
	words, ok := pppWords(command)
	if !ok || len(words) == 0 || path.Base(words[0]) != "pptp" {
		return "", false
	}
	for i := 1; i < len(words); i++ {
		switch {
		case slices.Contains(pptpArguments, words[i]):
			i++
		case !strings.HasPrefix(words[i], "-"):
			return words[i], true
		}
	}
	return "", true
}

// pptpArguments are the options of pptp(8) with an argument.
var pptpArguments = []string{
	"--phone", "--quirks", "--timeout", "--idle-wait", "--max-echo-wait", "--loglevel", "--localbind", "--rtmark", "--logstring",
	"--missing-window", "--test-type", "--test-rate",
}

// endFiles yields the rows of all peers, and the secrets that no peer uses, as bad lines.
func (p *ppp) endFiles(emit func(connexa.ImportRow) bool) bool {
	for _, peer := range p.peers {
		if row, ok := p.toRow(peer); ok && !emit(row) {
			return false
		}
	}
	for _, s := range p.secrets {
		if s.used {
			continue
		}
		row := connexa.ImportRow{Line: s.line, Problem: connexa.T("import.bad.ppp_secret"), Raw: fillIn(connexa.NodeInput{Login: s.client, Password: s.password})}
		if !emit(row) {
			return false
		}
	}
	if p.full {
		return emit(connexa.ImportRow{Line: p.lastLine(), Problem: connexa.T("import.bad.ppp_many", maxPPP)})
	}
	return true
}

// lastLine returns the line of the last peer or secret.
func (p *ppp) lastLine() int {
	line := 0
	for _, peer := range p.peers {
		line = max(line, peer.line)
	}
	for _, s := range p.secrets {
		line = max(line, s.line)
	}
	return line
}

// toRow returns the server of a peer; ok is false if it has none, as a file with common
// options or a peer of another protocol.
func (p *ppp) toRow(from *peer) (row connexa.ImportRow, ok bool) {
	server, has := from.values["pptp_server"]
	if from.other || !has && from.file != "" {
		return row, false
	}
	remote := from.values["remotename"]
	row = connexa.ImportRow{Line: from.line, Problem: from.problem, Input: connexa.NodeInput{
		Address: server, Login: cmp.Or(from.values["user"], from.values["name"]), Password: from.values["password"],
		Comment: cmp.Or(from.file, from.values["ipparam"], remote),
	}}
	in := &row.Input
	if strings.EqualFold(in.Comment, "pptp") {
		in.Comment = ""
	}
	password, problem := p.passwordOf(in.Login, remote)
	switch {
	case !row.Problem.IsZero():
	case server == "":
		row.Problem = missing["address"]
	case in.Login == "":
		row.Problem = missing["login"]
	case in.Password == "":
		in.Password, row.Problem = password, problem
	}
	if row = finishRow(row, false); !row.Problem.IsZero() {
		row.Raw = fillIn(row.Input)
	}
	return row, true
}

// passwordOf finds the secret as pppd does: names win over asterisks, the first line over
// later ones. Without a remotename the server names itself, so all of its secrets must be
// equal.
func (p *ppp) passwordOf(login, remote string) (password string, problem connexa.Text) {
	best := -1
	for i := range p.secrets {
		s := &p.secrets[i]
		if s.client != login && s.client != "*" || s.server != remote && s.server != "*" && remote != "" {
			continue
		}
		s.used = true
		rank := 0
		if s.client != "*" {
			rank += 2
		}
		if s.server != "*" && remote != "" {
			rank++
		}
		switch {
		case rank > best:
			best, password, problem = rank, s.password, connexa.Text{}
		case rank == best && remote == "" && s.password != password:
			problem = connexa.T("import.bad.ppp_secrets")
		}
	}
	switch {
	case best < 0:
		return "", connexa.T("import.bad.ppp_password")
	case strings.HasPrefix(password, "@"): // the secret is in that file
		return "", missing["password"]
	case !problem.IsZero():
		return "", problem
	}
	return password, problem
}

// fillIn returns a server as labels, where the user adds what is missing.
func fillIn(in connexa.NodeInput) connexa.Secret {
	var b strings.Builder
	for _, l := range []struct{ name, value string }{{"Ip", in.Address}, {"Login", in.Login}, {"Pass", in.Password}, {"Comment", in.Comment}} {
		if l.name != "Comment" || l.value != "" {
			b.WriteString(strings.TrimSpace(l.name+": "+l.value) + "\n")
		}
	}
	return cutLabel(strings.TrimSuffix(b.String(), "\n"))
}

// pppEscape reads what follows a backslash: the name of a control character, up to three
// octal digits, x and up to two hexadecimal ones, or any other character, which it means.
func pppEscape(s string) (b byte, size int) {
	if at := strings.IndexByte("abfnrst", s[0]); at >= 0 {
		return "\a\b\f\n\r \t"[at], 1
	}
	digits, base, start := "01234567", 8, 0
	limit := 3
	if s[0] == 'x' {
		digits, base, start, limit = "0123456789abcdefABCDEF", 16, 1, 3
	}
	size = start
	for size < min(limit, len(s)) && strings.IndexByte(digits, s[size]) >= 0 {
		size++
	}
	if size == start {
		return s[0], 1
	}
	n, _ := strconv.ParseUint(s[start:size], base, 16)
	return byte(n), size
}

// pppWords splits a line of a file of pppd. A backslash escapes everywhere.
func pppWords(s string) (words []string, ok bool) {
	return splitWords(s, func(rest string, _ byte) (byte, int) { return pppEscape(rest) })
}

// pppOptions contains options of pppd with the number of their arguments.
var pppOptions = func() map[string]int {
	options := map[string]int{}
	for _, name := range strings.Fields(`
		allow-ip asyncmap bsdcomp call connect connect-delay deflate disconnect domain file holdoff idle init ipparam
		ipcp-max-configure ipcp-max-failure ipcp-restart ktune lcp-echo-failure lcp-echo-interval lcp-max-configure lcp-restart linkname
		logfd logfile maxconnect maxfail maxoctets mppe mrru mru ms-dns ms-wins mtu name netmask pap-max-authreq pap-restart pap-timeout
		password plugin pptp_client pptp_phone pptp_server pptp_timeout pptp_window pty remotename speed unit user welcome`) {
		options[name] = 1
	}
	for _, name := range strings.Fields(`
		auth crtscts debug default-asyncmap defaultroute demand dump hide-password ipcp-accept-local ipcp-accept-remote lock
		modem local mschap-strip-domain multilink noaccomp noauth nobsdcomp noccp nocrtscts nodefaultroute nodeflate nodetach
		noip noipdefault noipv6 nolock nolog nomppe nomppe-40 nomppe-128 nomppe-stateful nomultilink nopcomp nopersist nopredictor1
		noproxyarp novj novjccomp passive persist proxyarp receive-all refuse-chap refuse-eap refuse-mschap refuse-mschap-v2
		refuse-pap replacedefaultroute require-chap require-eap require-mppe require-mppe-40 require-mppe-128 require-mschap
		require-mschap-v2 require-pap silent sync updetach usepeerdns`) {
		options[name] = 0
	}
	return options
}()
