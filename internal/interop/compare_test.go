package interop

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var compareFile = flag.String("compare", "", "write the messages of pptp-linux and of connexa check for the same faults to this file")

// compareRow is one row of the comparison: a fault of allFaults, or its own.
type compareRow struct {
	name     string
	fault    string   // name of a fault; its config is not used
	login    string   // default alice
	password string   // default alice's
	args     []string // additional arguments of connexa check
	at       string   // address to dial instead of the server's
	http     bool     // run a web server on that machine's port 1723
	judged   string   // which output is clearer, and why
}

var compareRows = []compareRow{
	{name: "delay of 0.6 s each way", fault: "600 ms each way", judged: "equal: both come up"},
	{name: "delay of 1 s each way", fault: "1 s each way", judged: "equal: both come up"},
	{name: "delay of 2 s each way", fault: "2 s each way", judged: "connexa: pptp-linux has no session after 90 s"},
	{name: "20 % of the packets lost", fault: "20 % loss", judged: "connexa: it comes up, or names the loss; pptp-linux fails and names MPPE"},
	{name: "GRE blocked on the way to us", fault: "a router drops the server's GRE", judged: "connexa: pptp-linux names LCP, and its log is the same for both directions"},
	{name: "GRE blocked on the way to the server", fault: "a router drops our GRE", judged: "connexa: it names the direction"},
	{name: "GRE rejected by a router, ICMP 3/2", fault: "a router rejects our GRE, 3/2", judged: "connexa: it names the router and the protocol, but later"},
	{name: "wrong password", password: "wonderland-2", judged: "connexa: it has the code and what to do; both quote the server"},
	{name: "right password outside ASCII", login: "cyr", password: "Пароль-7", judged: "equal: both come up"},
	{name: "the server's maintenance text", fault: "maintenance", judged: "equal: both quote the server; connexa also says when the session ended"},
	{name: "no free address", fault: "no free address", judged: "connexa: pptp-linux reports its own missing address, not the refusal of the server"},
	{name: "pptpd full", fault: "pptpd is full", judged: "connexa: pptp-linux names LCP"},
	{name: "pppd does not start", fault: "pppd does not start: a wrong option", judged: "connexa: pptp-linux names no cause"},
	{name: "MPPE missing at the server, which requires it", fault: "the server's kernel has no MPPE", judged: "connexa: both quote the server; connexa also names the module"},
	{name: "MPPE required here, the server has none", fault: "no MPPE, but required here", args: []string{"--encryption", "required"}, judged: "connexa: it says which side to change, and how"},
	{name: "PAP only", fault: "PAP only", judged: "connexa: pptp-linux does not name PAP"},
	{name: "EAP only", fault: "EAP only", judged: "connexa: pptp-linux does not say that the server asks for EAP"},
	{name: "nothing listens on the port", at: "10.99.0.254", judged: "equal"},
	{name: "a web server on the port", at: "10.99.0.254", http: true, judged: "connexa: pptp-linux names LCP"},
}

// TestCompareWithPPTPLinux writes a table that compares, for the same faults, the output of Debian's
// pptp-linux with pppd and of connexa check.
func TestCompareWithPPTPLinux(t *testing.T) {
	if *compareFile == "" {
		t.Skip("it takes ten minutes; -compare FILE runs it and writes the table")
	}
	if noLab != "" {
		t.Skip(noLab)
	}
	program := filepath.Join(t.TempDir(), "connexa")
	if out, err := exec.Command("go", "build", "-o", program, "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	known := map[string]fault{"": {}}
	for _, f := range allFaults {
		known[f.name] = f
	}
	var p faultLab
	var table strings.Builder
	for _, row := range compareRows {
		t.Run(row.name, func(t *testing.T) {
			f, ok := known[row.fault]
			if !ok {
				t.Fatalf("no fault %q", row.fault)
			}
			p.setFault(t, f)
			if row.login == "" {
				row.login = "alice"
			}
			if row.password == "" {
				row.password = "wonderland-1"
			}
			if row.at == "" {
				row.at = server
			}
			if row.http {
				web := exec.Command("lab/lab.sh", "ns", "sw", "python3", "-m", "http.server", "1723", "--bind", row.at)
				if err := web.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					_ = web.Process.Kill()
					_ = web.Wait() // "signal: killed"
				})
				awaitPort(t, row.at+":1723")
			}
			pptpLinux := pptpLinuxLog(t, row)
			connexa := checkOutput(t, program, row)
			fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", row.name, tableCell(pptpLinux), tableCell(connexa), row.judged)
		})
	}
	if err := os.WriteFile(*compareFile, []byte(compareHead+table.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

const compareHead = `# Diagnosis compared with pptp-linux

Debian's pptp-linux 1.10 with pppd 2.4.9 and ` + "`connexa check`" + ` dial the same
server (pptpd 1.4.0 with pppd) with the same fault, one after the other. The second
column has the last lines of the log of pptp-linux and pppd, the third one what
` + "`connexa check`" + ` prints below its steps. The last column is our judgement, by hand.
To write the table again, as root on Debian 12, in about ten minutes:
` + "`go test -run 'TestCompareWithPPTPLinux$' ./internal/interop -timeout 30m -args -compare $PWD/docs/diagnosis.md`" + `

| fault | pptp-linux and pppd | connexa check | clearer |
|---|---|---|---|
`

// pptpLinuxLog returns the log of pptp-linux and pppd.
func pptpLinuxLog(t *testing.T, row compareRow) string {
	t.Helper()
	cmd := exec.Command("lab/lab.sh", "pptplinux")
	cmd.Env = append(os.Environ(), "USERNAME="+row.login, "PASSWORD="+row.password, "LAB_SERVER="+row.at)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("lab.sh pptplinux: %v: %s", err, out)
	}
	return string(out)
}

// checkOutput returns what connexa check prints below its steps.
func checkOutput(t *testing.T, program string, row compareRow) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"check", "--login", row.login, row.at}, row.args...)...)
	cmd.Env = append(os.Environ(), "CONNEXA_PASSWORD="+row.password)
	began := time.Now()
	out, _ := cmd.Output() // its exit status depends on the server
	text := strings.TrimSpace(string(out))
	if _, below, found := strings.Cut(text, "\n\n"); found {
		if _, result, found := strings.Cut(below, "\n\n"); found {
			text = result
		}
	}
	return fmt.Sprintf("after %.1f s\n%s", time.Since(began).Seconds(), text)
}

// tableCell joins lines to one cell of a table.
func tableCell(text string) string {
	var lines []string
	for l := range strings.Lines(strings.TrimSpace(text)) {
		l = strings.TrimRight(l, "\n")
		if joined := strings.TrimLeft(l, " "); len(l)-len(joined) > 4 && len(lines) > 0 {
			lines[len(lines)-1] += " " + joined // a wrapped line
			continue
		}
		lines = append(lines, strings.Join(strings.Fields(l), " "))
	}
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\x00", "<br>").Replace(strings.Join(lines, "\x00"))
}

func awaitPort(t *testing.T, address string) {
	t.Helper()
	for range 100 {
		if c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", address); err == nil {
			c.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s does not listen", address)
}
