package openvpn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
	"github.com/connexa-panel/connexa/internal/openvpn/vpntest"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// BenchmarkExitThroughput measures one TCP connection of the real client through an exit and
// a tunnel to a simulated server, relative to the same two openvpn with the IP stack of
// the host behind the server. Everything runs on one host.
func BenchmarkExitThroughput(b *testing.B) {
	if !vpntest.InNamespace(b) {
		return
	}
	ann := vpntest.NewComputer(b, 2)
	down, up := startBareServer(b, ann)
	b.ReportMetric(down, "bare-down-Mbit/s")
	b.ReportMetric(up, "bare-up-Mbit/s")
	r := newRig(b, nil)
	for _, tt := range []struct {
		name string
		how  pptp.Encryption
	}{{"none", "off"}, {"MPPE-128", ""}} {
		r.dialWith(tt.how)
		if got := r.session.Info().Encryption; !strings.HasPrefix(got, tt.name) {
			b.Fatalf("the tunnel has %s", got)
		}
		v := ann.Connect(r.newProfile("ann", nil), "")
		v.WaitFor(vpntest.Connected, 1)
		d, u := measureRate(b, ann, "http://198.51.100.80")
		b.ReportMetric(d, tt.name+"-down-Mbit/s")
		b.ReportMetric(u, tt.name+"-up-Mbit/s")
		b.ReportMetric(d/down, tt.name+"-down/bare")
		b.ReportMetric(u/up, tt.name+"-up/bare")
		v.Stop()
		if err := r.stack.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// startBareServer measures the baseline: openvpn with an ordinary device.
func startBareServer(b *testing.B, ann *vpntest.Computer) (down, up float64) {
	ca, id := newIdentity(b)
	pair, err := ca.Client("ann", time.Now(), time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	p := openvpn.Profile{Host: "192.0.2.1", Port: 11941, Server: serverName, CA: id.CA, Client: pair, TLSCrypt: id.TLSCrypt}
	file, err := p.File()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for name, pem := range map[string][]byte{"ca": id.CA, "cert": id.Server.Cert, "key": id.Server.Key, "tc": id.TLSCrypt} {
		if err := os.WriteFile(filepath.Join(dir, name), pem, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	bin, err := openvpn.FindPrograms(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(bin.OpenVPN, "--cd", dir, "--dev", "bare0", "--dev-type", "tun", "--topology", "subnet", "--server", "10.66.0.0", "255.255.0.0",
		"--proto", "udp4", "--port", "11941", "--ca", "ca", "--cert", "cert", "--key", "key", "--tls-crypt", "tc", "--dh", "none", "--tun-mtu", "1400",
		"--data-ciphers", openvpn.Ciphers, "--auth", "SHA256", "--push", "redirect-gateway def1", "--push", "ifconfig-ipv6 fd00::2/64 fd00::1", "--verb", "1")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /bytes/{n}", func(w http.ResponseWriter, r *http.Request) {
		var n int64
		fmt.Sscan(r.PathValue("n"), &n)
		_ = lab.Bytes(r.Context(), w, n)
	})
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	l, err := net.Listen("tcp", ":8080")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: mux}
	go srv.Serve(l)
	defer srv.Close()
	v := ann.Connect(file, "")
	v.WaitFor(vpntest.Connected, 1)
	defer v.Stop()
	return measureRate(b, ann, "http://10.66.0.1:8080")
}

const moved = 150_000_000

// measureRate returns Mbit/s, the best of three.
func measureRate(b *testing.B, ann *vpntest.Computer, base string) (down, up float64) {
	c := http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return ann.Dial(ctx, network, address)
	}}}
	for range 3 {
		began := time.Now()
		r, err := c.Get(fmt.Sprintf("%s/bytes/%d", base, moved))
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r.Body); err != nil || n != moved {
			b.Fatalf("%d bytes: %v", n, err)
		}
		r.Body.Close()
		down = max(down, moved*8/time.Since(began).Seconds()/1e6)
		began = time.Now()
		r, err = c.Post(base+"/upload", "application/octet-stream", io.LimitReader(zeros{}, moved))
		if err != nil {
			b.Fatal(err)
		}
		r.Body.Close()
		up = max(up, moved*8/time.Since(began).Seconds()/1e6)
	}
	return down, up
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// BenchmarkIdleExits starts fifty exits and measures the memory of each openvpn with its
// bridge, and the time until an exit listens.
func BenchmarkIdleExits(b *testing.B) {
	if !vpntest.InNamespace(b) {
		return
	}
	const n = 50
	vpntest.NewComputer(b, 2) // provides an address to listen on
	_, id := newIdentity(b)
	bin, err := openvpn.FindPrograms(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for d := dir; len(d) > 5; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o711); err != nil {
			b.Fatal(err)
		}
	}
	before := readPSS(b, os.Getpid())
	ctx, cancel := context.WithCancel(b.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	var slowest time.Duration
	for i := range n {
		if bin.Helper == "" {
			if err := errors.Join(isolation.Protect(), isolation.Make(i, 65534)); err != nil {
				b.Fatal(err)
			}
		}
		up := make(chan struct{}, 10)
		var logs []string
		e, err := openvpn.New(openvpn.Config{
			Device: i, Programs: bin, Dir: dir, Identity: id, Listen: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(12000+i)),
			Authorize: func(context.Context, openvpn.Login) error { return nil }, Revalidate: func(openvpn.Client) error { return nil },
			Allows: func(string, netip.AddrPort) bool { return true },
			Log:    func(line string) { logs = append(logs, line) },
			OnEvent: func(e openvpn.Event) {
				if e.Err != nil {
					b.Log(logs)
					b.Error(e.Err)
				}
				up <- struct{}{}
			},
		})
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		work.Go(func() { _ = e.Run(ctx) })
		<-up
		slowest = max(slowest, time.Since(began))
	}
	runtime.GC()
	sum := readPSS(b, os.Getpid()) - before
	records, err := filepath.Glob(filepath.Join(dir, "*.pid"))
	if err != nil || len(records) != n {
		b.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records {
		text, err := os.ReadFile(r)
		if err != nil {
			b.Fatal(err)
		}
		var pid int
		fmt.Sscan(string(text), &pid)
		sum += readPSS(b, pid)
		if bin.Helper != "" {
			children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
			if err != nil {
				b.Fatal(err)
			}
			fmt.Sscan(string(children), &pid)
			sum += readPSS(b, pid)
		}
	}
	b.ReportMetric(float64(sum)/n/1024, "MiB/exit")
	b.ReportMetric(float64(slowest.Milliseconds()), "slowest-ms")
}

// readPSS returns the proportional memory of a process in KiB.
func readPSS(b *testing.B, pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			var n int
			fmt.Sscan(rest, &n)
			return n
		}
	}
	b.Fatal("there is no Pss")
	return 0
}
