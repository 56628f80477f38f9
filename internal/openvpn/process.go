package openvpn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// connectTimeout is how long openvpn may take to find us after its start.
	connectTimeout = 10 * time.Second
	// stopTimeout is how long it may take to end.
	stopTimeout = 2 * time.Second
	// logBurst and logEvery bound what it may say.
	logBurst = 50
	logEvery = 200 * time.Millisecond
)

// process is one openvpn that runs.
type process struct {
	cmd        *exec.Cmd
	record     string // the file that tells a later panel of it
	management *management
	done       chan struct{} // closed when it has ended
	err        error         // why; after done
}

// openvpnCommand is how to start openvpn without any rights, as user uid. Its
// configuration comes on standard input, so no key touches the disk.
func openvpnCommand(b Programs, uid, gid uint32) *exec.Cmd {
	args := []string{"--ambient-caps=-all", "--inh-caps=-all", "--no-new-privs"}
	if os.Geteuid() != int(uid) {
		args = append(args,
			"--reuid="+strconv.FormatUint(uint64(uid), 10), "--regid="+strconv.FormatUint(uint64(gid), 10), "--clear-groups")
	}
	if os.Geteuid() == 0 {
		args = append(args, "--bounding-set=-all")
	}
	// Its life is bound to the connection to us, not to a context: it is to be
	// asked to end first.
	cmd := exec.Command(b.Setpriv, append(args, "--", b.OpenVPN, "--config", "stdin")...) //nolint:noctx // see above
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for us
	return cmd
}

// startProcess starts openvpn and waits until it has connected to our socket, at path.
func startProcess(ctx context.Context, cmd *exec.Cmd, config, path, record string, logLine func(string)) (*process, error) {
	l, err := listenAt(path)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	cmd.Stdin = strings.NewReader(config)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start openvpn: %w", err)
	}
	p := &process{cmd: cmd, record: record, done: make(chan struct{})}
	if err := writeRecord(record, cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, err
	}
	last := &logTail{logLine: logLine}
	go func() {
		defer close(p.done)
		last.copyLines(out)
		p.err = cmd.Wait()
		if err := os.Remove(record); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.err = errors.Join(p.err, err)
		}
	}()
	c, err := acceptPeer(ctx, l, p.done, func(peer int) bool { return peer == cmd.Process.Pid })
	if err != nil {
		p.stop()
		if text := last.lastText(); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return nil, err
	}
	p.management = &management{conn: c}
	return p, nil
}

// listenAt opens a socket at path for openvpn, or its helper, to find us by. Anyone
// may try: who it is decides, in accept.
func listenAt(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open a socket for openvpn: %w", err)
	}
	if err := os.Chmod(path, 0o666); err != nil { //nolint:gosec // see above
		return nil, errors.Join(fmt.Errorf("open a socket for openvpn: %w", err), l.Close())
	}
	return l, nil
}

var errEnded = errors.New("openvpn ended as soon as it had started")

// acceptPeer waits for a process that is the right one to connect to l, which it closes.
func acceptPeer(ctx context.Context, l *net.UnixListener, ended <-chan struct{}, right func(pid int) bool) (*net.UnixConn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	go func() { // wakes Accept; ends with cancel at the latest
		select {
		case <-ended:
		case <-ctx.Done():
		}
		_ = l.Close()
	}()
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			select {
			case <-ended:
				return nil, errEnded
			default:
			}
			if ctx.Err() != nil {
				return nil, fmt.Errorf("openvpn did not connect: %w", ctx.Err())
			}
			return nil, fmt.Errorf("openvpn did not connect: %w", err)
		}
		if peer, err := peerOf(c); err == nil && right(peer) {
			return c, nil
		}
		_ = c.Close()
	}
}

// stop ends openvpn and returns when it is gone, or does not go: its record stays
// then, and the next start finds it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone, or not ours to signal
	if p.management != nil {
		_ = p.management.sendLines("signal SIGTERM")
	}
	t := time.NewTimer(stopTimeout)
	defer t.Stop()
	select {
	case <-p.done:
		return
	case <-t.C:
	}
	_ = p.cmd.Process.Kill()
	if p.management != nil {
		_ = p.management.conn.Close() // by which it ends, if it belongs to another account
	}
	t.Reset(stopTimeout)
	select {
	case <-p.done:
	case <-t.C:
	}
}

// logTail passes log lines on, not too many, and keeps the last few.
type logTail struct {
	logLine func(string)

	mu      sync.Mutex
	kept    []string
	dropped atomic.Int64
}

func (l *logTail) copyLines(r io.Reader) {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 1024), maxLineBytes)
	tokens, last := logBurst, time.Now()
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.Contains(line, " peer info: ") { // ten lines for each login
			continue
		}
		line = truncate(line, 500)
		l.mu.Lock()
		if l.kept = append(l.kept, line); len(l.kept) > 3 {
			l.kept = l.kept[1:]
		}
		l.mu.Unlock()
		if more := int(time.Since(last) / logEvery); more > 0 {
			tokens, last = min(tokens+more, logBurst), time.Now()
		}
		if tokens == 0 {
			l.dropped.Add(1)
			continue
		}
		tokens--
		if n := l.dropped.Swap(0); n > 0 {
			l.logLine(fmt.Sprintf("(%d lines of openvpn were left out)", n))
		}
		l.logLine(line)
	}
	_, _ = io.Copy(io.Discard, r) // after a line that is too long
}

func (l *logTail) lastText() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.kept, "; ")
}

// --- what a panel that was killed leaves behind

// writeRecord notes a process so that a later panel finds it, and no other that
// has its number by then.
func writeRecord(path string, pid int) error {
	begun, err := startTimeOf(pid)
	if err != nil {
		return fmt.Errorf("look at openvpn: %w", err)
	}
	text := fmt.Sprintf("%d %s %s\n", pid, begun, bootID())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("note openvpn's number: %w", err)
	}
	return nil
}

// startTimeOf is when a process was started, in ticks since the boot.
func startTimeOf(pid int) (string, error) {
	fields, err := readStat(pid)
	if err != nil {
		return "", err
	}
	return fields[19], nil // field 22 of proc(5)
}

// readStat is what the kernel says of a process that runs, from field 3 of proc(5)
// on, its state; the last is field 22 at least.
func readStat(pid int) ([]string, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil, err
	}
	// The name, in brackets, may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 {
		return nil, errors.New("its entry in /proc cannot be read")
	}
	if fields[0] == "Z" {
		return nil, fs.ErrNotExist // it has ended, and nobody has asked how
	}
	return fields, nil
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "-"
	}
	return strings.TrimSpace(string(b))
}

// EndOrphans ends what panels that were killed have left running, by the records
// in dir, and returns how many there were. It is for the start, before any exit
// runs.
func EndOrphans(ctx context.Context, dir string) (int, error) {
	records, err := filepath.Glob(filepath.Join(dir, "*.pid"))
	if err != nil {
		return 0, err
	}
	n := 0
	var errs []error
	for _, r := range records {
		was, err := endOrphan(ctx, r)
		if was {
			n++
		}
		errs = append(errs, err)
	}
	return n, errors.Join(errs...)
}

// endOrphan ends the process of one record, if it is still the same.
func endOrphan(ctx context.Context, record string) (bool, error) {
	b, err := os.ReadFile(record)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for an openvpn that was left: %w", err)
	}
	var pid int
	var begun, boot string
	if _, err := fmt.Sscan(string(b), &pid, &begun, &boot); err != nil || pid <= 1 {
		return false, os.Remove(record) // written halfway
	}
	same := func() bool {
		now, err := startTimeOf(pid)
		return err == nil && now == begun && boot == bootID()
	}
	was := same()
	for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if !same() {
			break
		}
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) && i == 1 {
			return was, fmt.Errorf("end an openvpn that was left, process %d: %w", pid, err)
		}
		for range int(stopTimeout / (20 * time.Millisecond)) {
			if !same() {
				break
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return was, ctx.Err()
			}
		}
	}
	if same() {
		return was, fmt.Errorf("process %d, an openvpn that was left, does not end", pid)
	}
	if err := os.Remove(record); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return was, err
	}
	return was, nil
}
