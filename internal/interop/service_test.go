package interop

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestService runs a service at the real server. It downloads through its proxy and checks
// the sum: at first, after the server's processes were killed, and after the panel
// was killed, on the same port and with the same credential. With
// CONNEXA_INTEROP_BYTES=1000000000 the first download is a gigabyte.
func TestService(t *testing.T) {
	needVariant(t, "mppe128")
	size := 8_000_000
	if text := os.Getenv("CONNEXA_INTEROP_BYTES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		size = n
	}
	dir := t.TempDir()
	s := wantService(t, dir)
	p := startPanel(t, dir)
	began := time.Now()
	fetchThrough(t, s, size)
	took := time.Since(began)
	t.Logf("%d bytes in %v, %.1f Mbit/s with the time to come up", size, took.Round(time.Millisecond), float64(size)*8/1e6/took.Seconds())

	staySilent(t, s, 20*time.Second)

	runLab(t, "kick", "tcp")
	began = time.Now()
	fetchThrough(t, s, 200_000)
	t.Logf("back %v after the server's processes were killed", time.Since(began).Round(time.Millisecond))

	p.killPanel()
	startPanel(t, dir)
	began = time.Now()
	fetchThrough(t, s, 200_000)
	t.Logf("back %v after the panel was killed", time.Since(began).Round(time.Millisecond))
}

// wantService creates a data folder with the server and starts its service.
func wantService(t *testing.T, dir string) connexa.Service {
	t.Helper()
	d, err := db.Open(t.Context(), db.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	node, password, err := connexa.ParseNode(connexa.NodeInput{Address: server, Login: "alice", Password: "wonderland-1"})
	if err != nil {
		t.Fatal(err)
	}
	id, err := d.AddNode(t.Context(), node, password, "")
	if err != nil {
		t.Fatal(err)
	}
	switchServices(t, d, connexa.BulkStart, id)
	if err := d.AllowDestinations(t.Context(), id, true, false); err != nil { // the lab's web is in a private network
		t.Fatal(err)
	}
	list, err := d.WantedServices(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	return list[0]
}

// switchServices starts or stops the services of nodes.
func switchServices(t *testing.T, d *db.DB, kind connexa.BulkKind, nodes ...int64) {
	t.Helper()
	a, err := d.StartAct(t.Context(), connexa.NewAct{Bulk: connexa.Bulk{Kind: kind}, IDs: nodes})
	if err == nil {
		_, err = d.AdvanceAct(t.Context(), a.ID, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// staySilent keeps a connection to the echo server behind the server silent for a
// while, which must not end it.
func staySilent(t *testing.T, s connexa.Service, silence time.Duration) {
	t.Helper()
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", s.Listen.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	fmt.Fprintf(c, "CONNECT 10.99.9.2:7 HTTP/1.1\r\nHost: 10.99.9.2:7\r\nProxy-Authorization: Basic %s\r\n\r\n",
		base64.StdEncoding.EncodeToString([]byte(s.User+":"+s.Secret.Reveal())))
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("CONNECT: %v, %v", res, err)
	}
	echo := func(text string) {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprint(c, text)
		got := make([]byte, len(text))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != text {
			t.Fatalf("%q came back as %q, %v", text, got, err)
		}
	}
	echo("before the silence")
	_ = c.SetReadDeadline(time.Now().Add(silence))
	if _, err := r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the silence was ended by %v", err)
	}
	echo("and after it")
}

// fetchThrough downloads size bytes through a service and checks their sum. The service
// may need a minute to come up.
func fetchThrough(t *testing.T, s connexa.Service, size int) {
	t.Helper()
	at := &url.URL{Scheme: "socks5", Host: s.Listen.String(), User: url.UserPassword(s.User, s.Secret.Reveal())}
	tr := &http.Transport{Proxy: http.ProxyURL(at)}
	defer tr.CloseIdleConnections()
	late := time.Now().Add(time.Minute)
	var res *http.Response
	for {
		var err error
		if res, err = (&http.Client{Transport: tr}).Get(fmt.Sprintf("http://web.lab.test/bytes/%d", size)); err == nil {
			break
		}
		if time.Now().After(late) {
			t.Fatal("not back after a minute: ", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	defer res.Body.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, res.Body)
	if got, want := hex.EncodeToString(sum.Sum(nil)), patternSum(size); err != nil || n != int64(size) || got != want {
		t.Fatalf("%d of %d bytes with sum %s, %v; want %s", n, size, got, err, want)
	}
}

// patternSum returns the SHA-256 of the n bytes that the lab's web server sends,
// computed as in lab/tools/inside.py.
func patternSum(n int) string {
	var block []byte
	for i := range 2048 {
		part := sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(i)))
		block = append(block, part[:]...)
	}
	sum := sha256.New()
	for ; n > 0; n -= len(block) {
		sum.Write(block[:min(n, len(block))])
	}
	return hex.EncodeToString(sum.Sum(nil))
}
