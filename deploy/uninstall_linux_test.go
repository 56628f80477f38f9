package deploy

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// TestUninstall installs the panel with the commands in the files of deploy, and
// removes it with deploy/uninstall.sh. It runs in namespaces of its own: network,
// processes, /etc, /run, /usr/local/bin and /var/lib.
func TestUninstall(t *testing.T) {
	if program := os.Getenv(insideMachine); program != "" {
		testUninstall(t, program)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("namespaces and devices are root's to make")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip(err)
	}
	for _, program := range []string{"useradd", "userdel", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	program := filepath.Join(t.TempDir(), "connexa")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "..").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestUninstall$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), insideMachine+"="+program, "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("got %v, want the test to pass in namespaces of its own\n%s", err, out)
	}
}

// insideMachine is set to the path of the program in the namespaces of the test.
const insideMachine = "CONNEXA_TEST_MACHINE"

func testUninstall(t *testing.T, program string) {
	m := newMachine(t, program)
	before := m.listFiles()
	m.installPanel()
	wantDevices(t, 64)
	installed := m.listFiles()
	t.Run("an unknown argument changes nothing", func(t *testing.T) {
		m := m.in(t)
		m.runUninstall(2, "[--purge]", "--pruge")
		m.checkKept(installed)
	})
	t.Run("without --purge the data stays", func(t *testing.T) {
		m := m.in(t)
		m.runUninstall(0, "--purge removes them")
		m.checkRemoved()
		m.checkKept(append(before, "/var/lib/connexa -> private/connexa", "/var/lib/private/connexa/connexa.db", "/var/lib/private/connexa/connexa.key"))
	})
	t.Run("--purge removes the data that is left", func(t *testing.T) {
		m := m.in(t)
		m.runUninstall(0, "", "--purge")
		m.checkKept(before)
	})
	t.Run("a failure is reported and can be repaired", func(t *testing.T) { m.in(t).checkFailures(before) })
}

// checkFailures checks that a failure to remove something is reported, does not stop
// the rest, and keeps what is needed to remove it later.
func (m *machine) checkFailures(before []string) {
	m.t.Helper()
	m.installPanel()
	leave := m.occupyAccount()
	m.runUninstall(1, "devices are left", "--purge", "setpriv", "--bounding-set=-net_admin")
	wantDevices(m.t, 64)
	m.checkKept(append(before, "/usr/local/bin/connexa"))
	const installedAt, away = "/usr/local/bin/connexa", "/usr/local/bin/away"
	if err := os.Rename(installedAt, away); err != nil {
		m.t.Fatal(err)
	}
	m.runUninstall(1, "devices cxo* are left", "--purge")
	if err := os.Rename(away, installedAt); err != nil {
		m.t.Fatal(err)
	}
	m.runUninstall(1, "the account connexa-ovpn is left", "--purge")
	m.checkKept(before)
	leave()
	m.runUninstall(0, "", "--purge")
	m.checkRemoved()
	m.checkKept(before)
}

func wantDevices(t *testing.T, want int) {
	t.Helper()
	if list, err := isolation.List(); err != nil || len(list) != want {
		t.Fatalf("got %d devices, %v; want %d", len(list), err, want)
	}
}

// machine is the simulated machine on which the scripts run.
type machine struct {
	t       *testing.T
	program []byte
	deploy  map[string][]byte // contents by file name
}

// private are the directories that the machine mounts over the real ones.
var private = []string{"/etc", "/run", "/usr/local/bin", "/var/lib"}

// in returns the machine for a subtest.
func (m *machine) in(t *testing.T) *machine {
	c := *m
	c.t = t
	return &c
}

func newMachine(t *testing.T, program string) *machine {
	t.Helper()
	m := &machine{t: t, deploy: map[string][]byte{}}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// These files are read before the directories are covered, because they may be inside
	// one of them.
	m.program, err = os.ReadFile(program)
	must()
	for _, name := range []string{"connexa.service", "connexa-openvpn.service", "connexa-openvpn.conf", "uninstall.sh"} {
		m.deploy[name], err = os.ReadFile(name)
		must()
	}
	defs, err := os.ReadFile("/etc/login.defs")
	if !errors.Is(err, fs.ErrNotExist) {
		must()
	}
	err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	must()
	for _, dir := range private {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755")
		must()
	}
	err = unix.Mount("proc", "/proc", "proc", 0, "")
	must()
	err = unix.Mount("sysfs", "/sys", "sysfs", 0, "")
	must()
	for file, text := range map[string]string{
		"/etc/passwd":        "root:x:0:0::/root:/bin/sh\n",
		"/etc/group":         "root:x:0:\n",
		"/etc/shadow":        "root:*:20000::::::\n",
		"/etc/gshadow":       "root:*::\n",
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\n",
		"/etc/login.defs":    string(defs),
		// Files of other programs must stay.
		"/etc/systemd/system/other.service":                        "",
		"/etc/systemd/system/multi-user.target.wants/some.service": "",
		"/usr/local/bin/other":                                     "",
		"/run/other":                                               "",
		"/var/lib/private/other":                                   "",
		// This systemctl simulates a machine without a running service manager. It still
		// removes links, as systemctl(1) says.
		"/usr/local/bin/systemctl": "#!/bin/sh\necho \"$*\" >>/run/other\n[ $1 = disable ] && rm -f /etc/systemd/system/*.wants/$3\nexit 1\n",
	} {
		m.writeFile(file, []byte(text))
	}
	err = netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "other0"}})
	must()
	return m
}

func (m *machine) writeFile(file string, text []byte) {
	m.t.Helper()
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, text, 0o755)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// installPanel follows the comments in the unit files, and then creates what the
// service manager and a panel create.
func (m *machine) installPanel() {
	m.t.Helper()
	const units = "/etc/systemd/system/"
	m.writeFile("/usr/local/bin/connexa", m.program)
	m.writeFile(units+"connexa.service.d/connexa-openvpn.conf", m.deploy["connexa-openvpn.conf"])
	m.writeFile("/run/connexa/vpn-0/cxo0.pid", nil)
	m.writeFile("/var/lib/private/connexa/connexa.db", nil)
	m.writeFile("/var/lib/private/connexa/connexa.key", nil)
	links := map[string]string{"/var/lib/connexa": "private/connexa"}
	for _, name := range []string{"connexa.service", "connexa-openvpn.service"} {
		m.writeFile(units+name, m.deploy[name])
		links[units+"multi-user.target.wants/"+name] = units + name
	}
	for at, to := range links {
		if err := os.Symlink(to, at); err != nil {
			m.t.Fatal(err)
		}
	}
	unit := string(m.deploy["connexa-openvpn.service"])
	for _, before := range []string{"\n# useradd ", "\nExecStart="} {
		_, rest, found := strings.Cut(unit, before)
		line, _, _ := strings.Cut(rest, "\n")
		if !found {
			m.t.Fatalf("connexa-openvpn.service has no line that begins with %q", before)
		}
		if strings.Contains(before, "useradd") {
			line = "useradd " + line
		}
		args := strings.Fields(line)
		if out, err := exec.CommandContext(m.t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			m.t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	if _, there, err := isolation.Dropped(); err != nil || !there {
		m.t.Fatalf("there is no table: %v", err)
	}
	if n := m.countAccountFiles(); n != 4 {
		m.t.Fatalf("the account is in %d files", n)
	}
}

// occupyAccount runs a process under openvpn's account until leave is called.
func (m *machine) occupyAccount() (leave func()) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), "setpriv", "--reuid=connexa-ovpn", "--regid=connexa-ovpn", "--clear-groups", "cat")
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		m.t.Fatal(err)
	}
	// After the answer the process runs under the account.
	_, err := in.Write([]byte("?"))
	if err == nil {
		_, err = out.Read(make([]byte, 1))
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return func() {
		in.Close()
		_ = cmd.Wait()
	}
}

// countAccountFiles counts the account files that contain openvpn's account.
func (m *machine) countAccountFiles() (n int) {
	m.t.Helper()
	for _, name := range []string{"passwd", "group", "shadow", "gshadow"} {
		text, err := os.ReadFile("/etc/" + name)
		if err != nil {
			m.t.Fatal(err)
		}
		if bytes.Contains(text, []byte("connexa")) {
			n++
		}
	}
	return n
}

// runUninstall runs the script and checks its exit code and output. by[0] is an
// argument of the script, and the rest a command that runs it. Both are optional.
func (m *machine) runUninstall(code int, words string, by ...string) {
	m.t.Helper()
	if err := os.WriteFile("/run/other", nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
	args := []string{"sh", "-s", "--"}
	if len(by) > 0 {
		args = append(slices.Clone(by[1:]), append(args, by[0])...)
	}
	cmd := exec.CommandContext(m.t.Context(), args[0], args[1:]...)
	cmd.Stdin = bytes.NewReader(m.deploy["uninstall.sh"])
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), words) {
		m.t.Errorf("%q: got exit code %d, want %d and %q:\n%s", by, got, code, words, out)
	}
	asked, err := os.ReadFile("/run/other")
	if err != nil {
		m.t.Fatal(err)
	}
	if code == 2 {
		if len(asked) > 0 {
			m.t.Errorf("the service manager was asked for:\n%s", asked)
		}
		return
	}
	for _, want := range []string{"disable --now connexa.service\n", "disable --now connexa-openvpn.service\n", "daemon-reload\n"} {
		if !strings.Contains(string(asked), want) {
			m.t.Errorf("the service manager was not asked for %q:\n%s", want, asked)
		}
	}
}

// checkRemoved checks that the kernel and the account files contain nothing of
// Connexa.
func (m *machine) checkRemoved() {
	m.t.Helper()
	if list, err := isolation.List(); err != nil || len(list) > 0 {
		m.t.Errorf("devices are left: %v, %v", list, err)
	}
	if _, there, err := isolation.Dropped(); err != nil || there {
		m.t.Errorf("the table is left, %v", err)
	}
	if n := m.countAccountFiles(); n > 0 {
		m.t.Errorf("the account is left in %d files", n)
	}
	if _, err := netlink.LinkByName("other0"); err != nil {
		m.t.Error(err)
	}
}

// checkKept checks the list of remaining files.
func (m *machine) checkKept(want []string) {
	m.t.Helper()
	want = slices.Sorted(slices.Values(want))
	if got := m.listFiles(); !slices.Equal(got, want) {
		m.t.Errorf("got files\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// listFiles lists the files of the machine, without account files and files that
// listing them creates.
func (m *machine) listFiles() []string {
	m.t.Helper()
	var list []string
	for _, dir := range private {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if filepath.Dir(path) == "/etc" && !d.IsDir() {
				return nil
			}
			if to, err := os.Readlink(path); err == nil {
				list = append(list, path+" -> "+to)
			} else if !d.IsDir() {
				list = append(list, path)
			} else if strings.Contains(d.Name(), "connexa") {
				if all, err := os.ReadDir(path); err == nil && len(all) == 0 {
					list = append(list, path+"/")
				}
			}
			return nil
		})
		if err != nil {
			m.t.Fatal(err)
		}
	}
	slices.Sort(list)
	return list
}
