package vpntest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// Addresses of the host, on which HostServices answer.
const (
	HostAddress  = "198.18.0.1"
	HostAddress6 = "2001:db8:77::1"
)

// HostServices listens on all addresses of the host. It counts connections, except those
// that come from the test network to exactly the address used there.
func HostServices(t testing.TB) *atomic.Int64 {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{HostAddress + "/32", HostAddress6 + "/128"} {
		if err := AddAddr(nil, lo, a); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if at, err := netlink.ParseAddr(a); err != nil || netlink.AddrDel(lo, at) != nil {
				t.Errorf("the address %s is left", a)
			}
		})
	}
	var n atomic.Int64
	l, err := net.Listen("tcp", ":7001")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return &n
}

// WantNoLeftovers fails the test if anything of exits is left on the host.
func WantNoLeftovers(t testing.TB) {
	t.Helper()
	if list, err := isolation.List(); err != nil || len(list) > 0 {
		t.Errorf("devices are left: %v, %v", list, err)
	}
	if _, there, err := isolation.Dropped(); err != nil || there {
		t.Errorf("the table of nftables is left: %v", err)
	}
	if left, _ := filepath.Glob("/run/connexa/*/*.*"); len(left) > 0 {
		t.Errorf("files are left: %q", left)
	}
	if pids := Processes(t); len(pids) > 0 {
		t.Errorf("openvpn is left: %v", pids)
	}
}

// Servers returns the openvpn processes in the namespace of this test, without helpers.
func Servers(t testing.TB) []int {
	t.Helper()
	return slices.DeleteFunc(Processes(t), func(pid int) bool {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return err != nil || string(name) == "sleep\n"
	})
}

// Processes returns the processes of openvpn's account in the namespace of this test.
func Processes(t testing.TB) (pids []int) {
	t.Helper()
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range list {
		if ns, err := os.Readlink(dir + "/ns/net"); err != nil || ns != own {
			continue
		}
		status, err := os.ReadFile(dir + "/status")
		if err != nil || !strings.Contains(string(status), fmt.Sprintf("Uid:\t%d\t", accountID)) || strings.Contains(string(status), "State:\tZ") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}
