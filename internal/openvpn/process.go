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
	// connectTimeout is how long openvpn may take to connect after its start.
	connectTimeout = 10 * time.Second
	// stopTimeout is how long openvpn may take to end.
	stopTimeout = 2 * time.Second
	// logBurst and logEvery limit the log lines of openvpn.
	logBurst = 50
	logEvery = 200 * time.Millisecond
)

// process is a running openvpn.
type process struct {
	cmd        *exec.Cmd
	record     string // file by which a later panel finds the process
	management *management
	done       chan struct{} // closed at the end of the process
	err        error         // exit error; valid after done
}

// openvpnCommand returns the command that starts openvpn without rights as user uid. The
// configuration is passed on standard input, so keys are never written to disk.
func openvpnCommand(b Programs, uid, gid uint32) *exec.Cmd {
	args := []string{"--ambient-caps=-all", "--inh-caps=-all", "--no-new-privs"}
	if os.Geteuid() != int(uid) {
		args = append(args,
			"--reuid="+strconv.FormatUint(uint64(uid), 10), "--regid="+strconv.FormatUint(uint64(gid), 10), "--clear-groups")
	}
	if os.Geteuid() == 0 {
		args = append(args, "--bounding-set=-all")
	}
	// The process is not bound to a context, because it must be asked to end first. It ends
	// when the management connection closes.
	cmd := exec.Command(b.Setpriv, append(args, "--", b.OpenVPN, "--config", "stdin")...) //nolint:noctx // see above
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // keep Ctrl-C away from it
	return cmd
}

// startProcess starts openvpn and waits until it has connected to the socket at path.
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

// listenAt opens a Unix socket for openvpn or its helper. Every user may connect;
// acceptPeer checks the process.
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

// acceptPeer waits for a connection of the right process and closes l.
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

// stop ends openvpn and waits for its end. If it does not end, its record stays, and the
// next start handles it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended, or belong to another account
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
		_ = p.management.conn.Close() // ends it even if it belongs to another account
	}
	t.Reset(stopTimeout)
	select {
	case <-p.done:
	case <-t.C:
	}
}

// logTail forwards log lines at a limited rate and keeps the last ones.
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
		if line == "" || strings.Contains(line, " peer info: ") { // ten lines per login
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

// --- Processes that a killed panel left running.

// writeRecord records a process with its start time, so that a later panel does not take
// another process with the same number for it.
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

// startTimeOf returns the start time of a process in clock ticks since boot.
func startTimeOf(pid int) (string, error) {
	fields, err := readStat(pid)
	if err != nil {
		return "", err
	}
	return fields[19], nil // field 22 of proc(5)
}

// readStat returns the fields of /proc/PID/stat from field 3 (the state) on, at least to
// field 22.
func readStat(pid int) ([]string, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil, err
	}
	// The name in parentheses may contain anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 {
		return nil, errors.New("its entry in /proc cannot be read")
	}
	if fields[0] == "Z" {
		return nil, fs.ErrNotExist // a zombie
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

// EndOrphans ends the processes of killed panels that are recorded in dir, and returns
// their number. Call it before any exit runs.
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

// endOrphan ends the process of a record if it is still the same process.
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
		return false, os.Remove(record) // incomplete
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
