package vpntest

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/openvpn"
)

// Client is the real openvpn as a client.
type Client struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}

	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

// Connect starts a client with a profile. login holds user and password; it may be empty.
func (s *Computer) Connect(profile []byte, login string) *Client {
	s.t.Helper()
	dir := s.t.TempDir()
	file := filepath.Join(dir, "profile.ovpn")
	s.checkErr(os.WriteFile(file, profile, 0o600))
	args := []string{"--config", file, "--dev", "tun0", "--connect-retry", "1", "2"}
	if login != "" {
		s.checkErr(os.WriteFile(filepath.Join(dir, "login"), []byte(login), 0o600))
		args = append(args, "--auth-user-pass", filepath.Join(dir, "login"))
	}
	b, err := openvpn.FindPrograms(context.Background())
	s.checkErr(err)
	v := &Client{t: s.t, cmd: exec.Command(b.OpenVPN, args...), done: make(chan struct{}), more: make(chan struct{})}
	out, err := v.cmd.StdoutPipe()
	s.checkErr(err)
	s.checkErr(s.Do(v.cmd.Start))
	go func() {
		defer close(v.done)
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			v.mu.Lock()
			v.text.WriteString(sc.Text() + "\n")
			close(v.more)
			v.more = make(chan struct{})
			v.mu.Unlock()
		}
		_ = v.cmd.Wait()
	}()
	s.t.Cleanup(func() {
		v.Stop()
		if s.t.Failed() {
			s.t.Logf("the client said:\n%s", v.Said())
		}
	})
	return v
}

func (v *Client) Said() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.text.String()
}

func (v *Client) Stop() {
	_ = v.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-v.done:
	case <-time.After(5 * time.Second):
		_ = v.cmd.Process.Kill()
		<-v.done
	}
}

// WaitFor waits until the client has logged text n times in total.
func (v *Client) WaitFor(text string, n int) {
	v.t.Helper()
	limit := time.After(60 * time.Second)
	for {
		v.mu.Lock()
		said, more := v.text.String(), v.more
		v.mu.Unlock()
		if strings.Count(said, text) >= n {
			return
		}
		select {
		case <-more:
		case <-v.done:
			if strings.Count(v.Said(), text) < n {
				v.t.Fatalf("the client ended without saying %q:\n%s", text, v.Said())
			}
			return
		case <-limit:
			v.t.Fatalf("the client did not say %q:\n%s", text, v.Said())
		}
	}
}

// Connected is logged by a client that is connected.
const Connected = "Initialization Sequence Completed"
