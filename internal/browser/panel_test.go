package browser

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
)

const (
	admin    = "admin"
	password = "Copper-Lantern-42"
)

// panel is a process of the program with its own data folder.
type panel struct {
	t    testing.TB
	data string
	url  string // stays the same after a restart

	cmd   *exec.Cmd
	ended chan error

	mu  sync.Mutex
	log strings.Builder
}

// startPanel starts the program and stops it at the end of the test.
func startPanel(t testing.TB) *panel {
	t.Helper()
	needProgram(t)
	p := &panel{t: t, data: t.TempDir()}
	p.startProcess("127.0.0.1:0")
	t.Cleanup(func() {
		p.stopProcess()
		if t.Failed() {
			t.Logf("the panel's log:\n%s", p.waitLogged())
		}
	})
	return p
}

// startProcess starts the program and waits until it answers.
func (p *panel) startProcess(listen string) {
	p.t.Helper()
	path, err := program()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(path, "--listen", listen, "--data", p.data)
	cmd.Env = append(os.Environ(), "CONNEXA_ADMIN_PASSWORD="+password)
	log, err := cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.cmd, p.ended = cmd, make(chan error, 1)
	answers := make(chan string, 1)
	go func() {
		p.followLog(log, answers)
		p.ended <- cmd.Wait()
	}()
	select {
	case p.url = <-answers:
	case err := <-p.ended:
		p.cmd = nil
		p.t.Fatalf("the panel ended at once: %v\n%s", err, p.waitLogged())
	case <-time.After(20 * time.Second):
		p.t.Fatalf("the panel does not come up\n%s", p.waitLogged())
	}
}

// followLog stores the log. An error in the log fails the test.
func (p *panel) followLog(log io.Reader, answers chan<- string) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		var entry struct{ Level, Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &entry) != nil {
			continue // possibly a panic, which the exit code reveals
		}
		if entry.Level == "ERROR" {
			p.t.Errorf("the panel logged an error: %s", lines.Text())
		}
		if entry.URL != "" && entry.Msg == "the panel answers" {
			answers <- entry.URL
		}
	}
}

func (p *panel) waitLogged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// stopProcess stops the panel as a service manager does. It does nothing if the panel
// is not running.
func (p *panel) stopProcess() {
	p.t.Helper()
	if p.cmd == nil {
		return
	}
	cmd := p.cmd
	p.cmd = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("stop the panel: %v", err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("the panel stopped with %v", err)
		}
	case <-time.After(10 * time.Second):
		p.t.Error("the panel did not stop in time")
		_ = cmd.Process.Kill() // the process may have ended already
		<-p.ended
	}
}

// restartProcess starts the stopped panel again at the same address.
func (p *panel) restartProcess() {
	p.t.Helper()
	u, err := url.Parse(p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	p.startProcess(u.Host)
}

// client is an HTTP client with a login. It prepares a panel faster than the browser.
type client struct {
	t    testing.TB
	url  string
	http http.Client
}

// newClient returns a client that is logged in.
func (p *panel) newClient() *client {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	c := &client{t: p.t, url: p.url, http: http.Client{Jar: jar, Timeout: 20 * time.Second}}
	c.postForm("/login", url.Values{"username": {admin}, "password": {password}})
	return c
}

// postForm posts a form and follows the redirect. The test fails unless the final
// status is OK.
func (c *client) postForm(path string, form url.Values) {
	c.t.Helper()
	answer, err := c.http.PostForm(c.url+path, form)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
		c.t.Fatalf("POST %s: %s\n%s", path, answer.Status, body)
	}
}

// addNode adds simulated servers to the panel through the form.
func (c *client) addNode(nodes []lab.Node) {
	c.t.Helper()
	for _, n := range nodes {
		c.postForm("/nodes", url.Values{
			"address": {n.Addr.Addr().String()}, "port": {"1723"}, "login": {n.Login}, "password": {n.Password},
			"country": {n.Country}, "state": {n.State}, "city": {n.City}, "zip": {n.Zip}, "provider": {n.Provider},
			"comment": {n.Comment()}, "encryption": {""},
		})
	}
}
