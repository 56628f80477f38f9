package isolation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// queueOut is the number of packets that wait for openvpn. The kernel's default of 500 is
// a third of what one TCP connection has in flight.
const queueOut = 2000

// Make creates device number n for the user owner, or repairs an existing one. It needs
// CAP_NET_ADMIN.
func Make(n int, owner uint32) error {
	if owner == 0 {
		return errors.New("a device of root would be no cage")
	}
	name := Name(n)
	link, err := netlink.LinkByName(name)
	if err == nil {
		if has, known := ownerOf(link); known && has == owner {
			return closeAndStart(link)
		}
		if err := netlink.LinkDel(link); err != nil {
			return fmt.Errorf("remove the device %s of another owner: %w", name, err)
		}
	} else if _, absent := errors.AsType[netlink.LinkNotFoundError](err); !absent {
		return fmt.Errorf("look for the device %s: %w", name, err)
	}
	if err := makeTUN(name, owner); err != nil {
		return fmt.Errorf("make the device %s: %w", name, err)
	}
	if link, err = netlink.LinkByName(name); err != nil {
		return fmt.Errorf("find the device %s again: %w", name, err)
	}
	if err := closeAndStart(link); err != nil {
		return errors.Join(err, netlink.LinkDel(link))
	}
	return nil
}

// makeTUN creates a persistent device. The netlink package would also set the group to
// root, and then the owner could not open it.
func makeTUN(name string, owner uint32) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_TUN_EXCL)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return os.NewSyscallError("TUNSETIFF", err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETOWNER, int(owner)); err != nil {
		return os.NewSyscallError("TUNSETOWNER", err)
	}
	return os.NewSyscallError("TUNSETPERSIST", unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1))
}

// closeAndStart isolates a device and then brings it up.
func closeAndStart(link netlink.Link) error {
	name := link.Attrs().Name
	if err := closeUp(name); err != nil {
		return err
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", name, err)
	}
	for _, a := range addrs {
		if err := netlink.AddrDel(link, &a); err != nil {
			return fmt.Errorf("take the address %s from %s: %w", a.IPNet, name, err)
		}
	}
	if err := netlink.LinkSetMTU(link, MTU); err != nil {
		return fmt.Errorf("set the MTU of %s: %w", name, err)
	}
	if err := netlink.LinkSetTxQLen(link, queueOut); err != nil {
		return fmt.Errorf("set the queue of %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring %s up: %w", name, err)
	}
	return nil
}

// wanted are the settings of an isolated device.
var wanted = []struct{ path, value string }{
	{"net/ipv4/conf/%s/rp_filter", "1"},
	{"net/ipv4/conf/%s/forwarding", "0"},
	{"net/ipv4/conf/%s/log_martians", "0"},
	{"net/ipv6/conf/%s/disable_ipv6", "1"},
}

func closeUp(name string) error {
	for _, w := range wanted {
		path := filepath.Join("/proc/sys", fmt.Sprintf(w.path, name))
		if has, err := readSetting(path); errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(w.path, "net/ipv6") {
			continue // a kernel without IPv6
		} else if has == w.value {
			continue
		}
		if err := os.WriteFile(path, []byte(w.value), 0); err != nil {
			return fmt.Errorf("close %s: %w", name, err)
		}
	}
	return nil
}

// Remove removes device number n if it exists.
func Remove(n int) error {
	link, err := netlink.LinkByName(Name(n))
	if _, absent := errors.AsType[netlink.LinkNotFoundError](err); absent {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the device %s: %w", Name(n), err)
	}
	if err := netlink.LinkDel(link); err != nil {
		return fmt.Errorf("remove the device %s: %w", Name(n), err)
	}
	return nil
}

// List returns the numbers of the existing devices.
func List() ([]int, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the devices: %w", err)
	}
	var list []int
	for _, l := range links {
		if n, ok := Number(l.Attrs().Name); ok {
			list = append(list, n)
		}
	}
	return list, nil
}

// Check returns the owner of device number n. The error is ErrAbsent, a *ViolationError if
// the device is not isolated as Make leaves it, or a failed query. It needs no rights and
// does not check nftables.
func Check(n int) (owner uint32, err error) {
	name := Name(n)
	link, err := netlink.LinkByName(name)
	if _, absent := errors.AsType[netlink.LinkNotFoundError](err); absent {
		return 0, fmt.Errorf("%s: %w", name, ErrAbsent)
	}
	if err != nil {
		return 0, fmt.Errorf("look for the device %s: %w", name, err)
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return 0, fmt.Errorf("list the addresses of %s: %w", name, err)
	}
	if len(addrs) > 0 {
		return 0, &ViolationError{name, "it has the address " + addrs[0].IPNet.String()}
	}
	for _, w := range wanted {
		has, err := readSetting(filepath.Join("/proc/sys", fmt.Sprintf(w.path, name)))
		switch {
		case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(w.path, "net/ipv6"), strings.HasSuffix(w.path, "log_martians"):
		case err != nil:
			return 0, fmt.Errorf("look at the settings of %s: %w", name, err)
		case has != w.value:
			return 0, &ViolationError{name, strings.ReplaceAll(fmt.Sprintf(w.path, name), "/", ".") + " = " + has}
		}
	}
	if link.Attrs().Flags&1 == 0 {
		return 0, &ViolationError{name, "it is down"}
	}
	owner, known := ownerOf(link)
	if !known || owner == 0 {
		return 0, &ViolationError{name, "it belongs to root, or to nobody in particular"}
	}
	return owner, nil
}

// ownerOf asks the kernel, because /sys may show another network namespace.
func ownerOf(link netlink.Link) (uint32, bool) {
	t, ok := link.(*netlink.Tuntap)
	if !ok {
		return 0, false
	}
	return t.Owner, true
}

func readSetting(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// Protect creates the nftables table that drops all packets from devices, including those
// created later. It needs CAP_NET_ADMIN.
func Protect() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("reach nftables: %w", err)
	}
	// One transaction, so that the rule is always there.
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: Table})
	first := nftables.ChainPriorityRaw
	ch := c.AddChain(&nftables.Chain{
		Name: "prerouting", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: first,
	})
	c.FlushChain(ch)
	c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		// Without a final zero byte this matches the prefix of a name.
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte(Prefix)},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("make the table %s of nftables: %w", Table, err)
	}
	return nil
}

// Unprotect removes the table if it exists.
func Unprotect() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("reach nftables: %w", err)
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("list the tables of nftables: %w", err)
	}
	for _, t := range tables {
		if t.Name == Table {
			c.DelTable(t)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("remove the table %s of nftables: %w", Table, err)
	}
	return nil
}

// Dropped returns how many packets the table has dropped. It returns false if there is no
// table. It needs CAP_NET_ADMIN.
func Dropped() (packets uint64, ok bool, err error) {
	c, err := nftables.New()
	if err != nil {
		return 0, false, fmt.Errorf("reach nftables: %w", err)
	}
	t := &nftables.Table{Family: nftables.TableFamilyINet, Name: Table}
	rules, err := c.GetRules(t, &nftables.Chain{Name: "prerouting", Table: t})
	if errors.Is(err, unix.ENOENT) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read the table %s of nftables: %w", Table, err)
	}
	for _, r := range rules {
		for _, e := range r.Exprs {
			if n, is := e.(*expr.Counter); is {
				packets, ok = packets+n.Packets, true
			}
		}
	}
	return packets, ok, nil
}

// DeviceNode returns the path at which an account can open the TUN driver: /dev/net/tun if
// its mode allows it, otherwise a node that it creates in dir, which needs CAP_MKNOD. An
// empty dir disables that. An account can open only devices that it owns.
func DeviceNode(dir string, uid uint32) (string, error) {
	const node = "/dev/net/tun"
	var st unix.Stat_t
	if err := unix.Stat(node, &st); err != nil {
		return "", fmt.Errorf("look at %s: %w", node, err)
	}
	if st.Mode&0o006 == 0o006 || st.Uid == uid && st.Mode&0o600 == 0o600 {
		return node, nil
	}
	if dir == "" {
		return "", fmt.Errorf("user %d may not open %s", uid, node)
	}
	own := filepath.Join(dir, fmt.Sprintf("tun-%d", uid))
	if err := os.Remove(own); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := unix.Mknod(own, unix.S_IFCHR|0o600, int(st.Rdev)); err != nil {
		return "", fmt.Errorf("user %d may not open %s, and a node beside it cannot be made: %w", uid, node, err)
	}
	if err := os.Chown(own, int(uid), -1); err != nil {
		return "", err
	}
	return own, nil
}
