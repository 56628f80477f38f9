package openvpn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// Account is the account that openvpn runs as if it exists. It is separate so that openvpn
// cannot read the files of the panel.
const Account = "connexa-ovpn"

// Programs are the paths of the programs that an exit needs.
type Programs struct {
	OpenVPN string
	Setpriv string
	// Helper is the program that openvpn 2.7 and later starts instead of opening a device:
	// this binary. It is empty with an older openvpn, or to use a device.
	Helper string
}

// MissingError reports something that exits need and this host lacks.
type MissingError struct {
	Code string // "openvpn", "old", "setpriv", "device", "breach", "account", "node", "raw"
	Fix  string // shell command or advice
	Err  error  // nil if Code says it all
}

func (l *MissingError) Error() string {
	if l.Err != nil {
		return fmt.Sprintf("%s: %v (%s)", l.Code, l.Err, l.Fix)
	}
	return fmt.Sprintf("%s is missing (%s)", l.Code, l.Fix)
}

func (l *MissingError) Unwrap() error { return l.Err }

// FindPrograms returns the paths of the programs. The error is a *MissingError.
func FindPrograms(ctx context.Context) (Programs, error) {
	var b Programs
	var err error
	if b.OpenVPN, err = findProgram("openvpn"); err != nil {
		return b, &MissingError{Code: "openvpn", Fix: "apt-get install openvpn"}
	}
	if b.Setpriv, err = findProgram("setpriv"); err != nil {
		return b, &MissingError{Code: "setpriv", Fix: "apt-get install util-linux"}
	}
	major, minor, err := askVersion(ctx, b.OpenVPN)
	if err != nil {
		return b, &MissingError{Code: "old", Fix: "apt-get install openvpn", Err: err}
	}
	if major < 2 || major == 2 && minor < 5 {
		return b, &MissingError{Code: "old", Fix: "apt-get install openvpn", Err: fmt.Errorf("openvpn %d.%d is older than 2.5", major, minor)}
	}
	if major > 2 || minor >= 7 {
		b.Helper, _ = os.Executable() // without a path exits use a device
	}
	return b, nil
}

// findProgram also looks in the system folders that the PATH of ordinary accounts lacks.
func findProgram(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return filepath.Abs(p)
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", exec.ErrNotFound
}

func askVersion(ctx context.Context, binary string) (major, minor int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "--version").Output()
	// openvpn --version exits with 1.
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return 0, 0, fmt.Errorf("ask openvpn for its version: %w", err)
	}
	if _, err := fmt.Sscanf(string(out), "OpenVPN %d.%d", &major, &minor); err != nil {
		first, _, _ := strings.Cut(string(out), "\n")
		return 0, 0, fmt.Errorf("%q is no version of openvpn", truncate(first, 80))
	}
	return major, minor, nil
}

// LookupAccount returns the user and group id of an account.
func LookupAccount(name string) (uid, gid uint32, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fmt.Errorf("look the account %s up: %w", name, err)
	}
	a, errA := strconv.ParseUint(u.Uid, 10, 32)
	b, errB := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(a), uint32(b), errors.Join(errA, errB)
}

// groupOf returns the primary group of a user, or the user's number if it is unknown.
func groupOf(uid uint32) uint32 {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return uid
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return uid
	}
	return uint32(gid)
}

// DeviceOwner returns the user that owns new devices: the account connexa-ovpn if it
// exists and this process can become it, otherwise the own user. Root cannot own them: as
// root the account is required.
func DeviceOwner() (uint32, error) {
	uid, _, err := LookupAccount(Account)
	switch own := os.Geteuid(); {
	case err == nil && canBecome(uid):
		return uid, nil
	case own == 0:
		return 0, &MissingError{Code: "account", Fix: "useradd --system --no-create-home --shell /usr/sbin/nologin " + Account, Err: err}
	default:
		return uint32(own), nil
	}
}

// Preflight returns everything that this host and process lack for exits. It changes
// nothing.
func Preflight(ctx context.Context) []*MissingError {
	var list []*MissingError
	note := func(err error) {
		if l, ok := errors.AsType[*MissingError](err); ok {
			list = append(list, l)
		}
	}
	b, err := FindPrograms(ctx)
	note(err)
	if b.Helper != "" {
		uid, err := DeviceOwner()
		note(err)
		if err != nil || b.canSkipDevice(uid) {
			return list // without a device no rights are needed
		}
	}
	if !hasCapability(effective, netRaw) {
		list = append(list, &MissingError{Code: "raw", Fix: "sudo setcap cap_net_raw+ep connexa"})
	}
	var uid uint32
	if hasCapability(effective, netAdmin) {
		uid, err = DeviceOwner()
		note(err)
	} else if uid, err = ownerOfAll(); err != nil {
		note(err)
	} else if !canBecome(uid) {
		list = append(list, notBecome(uid))
		return list
	}
	if err == nil && os.Geteuid() != 0 {
		if _, err := isolation.DeviceNode("", uid); err != nil {
			list = append(list, noNode(err))
		}
	}
	return list
}

// ownerOfAll returns the owner of the existing devices.
func ownerOfAll() (uint32, error) {
	const fix = "sudo connexa setup-openvpn"
	devices, err := isolation.List()
	if err != nil || len(devices) == 0 {
		return 0, &MissingError{Code: "device", Fix: fix, Err: err}
	}
	uid, err := isolation.Check(devices[0])
	if err != nil {
		return 0, &MissingError{Code: "breach", Fix: fix, Err: err}
	}
	return uid, nil
}

func notBecome(uid uint32) *MissingError {
	return &MissingError{Code: "account", Fix: "sudo connexa setup-openvpn --owner " + currentName(), Err: fmt.Errorf("the devices belong to the user %d, which this process cannot become", uid)}
}

func noNode(err error) *MissingError {
	return &MissingError{Code: "node", Fix: "sudo chmod 0666 /dev/net/tun", Err: err}
}

// prepareDevice creates device n if it is missing and this process has the rights, and
// returns its owner. The error is a *MissingError.
func prepareDevice(n int) (uint32, error) {
	owner, err := isolation.Check(n)
	if err == nil {
		return owner, nil
	}
	code := "breach"
	if errors.Is(err, isolation.ErrAbsent) {
		code = "device"
	}
	fix := fmt.Sprintf("sudo connexa setup-openvpn --count %d", n+1)
	who, errOwner := DeviceOwner()
	if errOwner != nil {
		return 0, errOwner
	}
	// The table comes first, so that no device is ever open.
	if errMake := errors.Join(isolation.Protect(), isolation.Make(n, who)); errMake != nil {
		return 0, &MissingError{Code: code, Fix: fix, Err: errors.Join(err, errMake)}
	}
	if owner, err = isolation.Check(n); err != nil {
		return 0, &MissingError{Code: code, Fix: fix, Err: err}
	}
	return owner, nil
}

// canBecome reports whether a child process can become another user. It must inherit
// CAP_SETUID and CAP_SETGID for that.
func canBecome(uid uint32) bool {
	if own := os.Geteuid(); own == 0 || uint32(own) == uid {
		return true
	}
	return hasCapability(ambient, setUID) && hasCapability(ambient, setGID)
}

// Capability numbers, and the sets of proc(5) that hold them.
const (
	setGID    = 6
	setUID    = 7
	netAdmin  = 12
	netRaw    = 13
	sysPtrace = 19

	effective = "CapEff:"
	ambient   = "CapAmb:" // inherited by child processes
)

// hasCapability reports whether a set of this process holds a capability.
func hasCapability(set string, bit int) bool {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if text, ok := strings.CutPrefix(line, set); ok {
			caps, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
			return err == nil && caps>>bit&1 == 1
		}
	}
	return false
}

// inspectDevice returns an error if device n is not isolated any more. Firewall tools
// remove foreign tables, so it first restores the table if this process has the rights.
func inspectDevice(n int) error {
	if hasCapability(effective, netAdmin) {
		if _, there, err := isolation.Dropped(); err == nil && !there {
			if err := isolation.Protect(); err != nil {
				return err
			}
		}
	}
	_, err := isolation.Check(n)
	return err
}

// currentName returns the account of this process for a fix line.
func currentName() string {
	u, err := user.Current()
	if err != nil {
		return strconv.Itoa(os.Geteuid())
	}
	return u.Username
}
