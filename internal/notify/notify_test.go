package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// memoryStore is a Store in memory.
type memoryStore struct {
	mu     sync.Mutex
	list   []connexa.Channel
	states []string
}

func (s *memoryStore) Channels(context.Context) ([]connexa.Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]connexa.Channel{}, s.list...), nil
}

func (s *memoryStore) ChannelSent(_ context.Context, id int64, _ time.Time) error {
	return s.recordState(fmt.Sprintf("%d sent", id))
}

func (s *memoryStore) ChannelFailed(_ context.Context, id int64, _ time.Time, problem string) error {
	return s.recordState(fmt.Sprintf("%d failed: %s", id, problem))
}

func (s *memoryStore) recordState(state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = append(s.states, state)
	return nil
}

func (s *memoryStore) lastState() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) == 0 {
		return ""
	}
	return s.states[len(s.states)-1]
}

// sent is a message with its time.
type sent struct {
	to   string
	text string
	at   time.Duration
}

// fakeSender records messages and returns the results that a test sets.
type fakeSender struct {
	mu     sync.Mutex
	start  time.Time
	sent   []sent
	answer func(ctx context.Context, attempt int) error
}

func (o *fakeSender) sendMessage(ctx context.Context, address connexa.Secret, m Message) error {
	o.mu.Lock()
	o.sent = append(o.sent, sent{address.Reveal(), m.Text, time.Since(o.start)})
	n, answer := len(o.sent), o.answer
	o.mu.Unlock()
	if answer != nil {
		return answer(ctx, n)
	}
	return nil
}

func (o *fakeSender) setAnswer(answer func(ctx context.Context, attempt int) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = answer
}

func (o *fakeSender) sentMessages() []sent {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]sent{}, o.sent...)
}

// keyWords formats a text without a catalogue.
func keyWords(lang string, t connexa.Text) string {
	words := []string{lang, t.Key}
	for _, a := range t.Args {
		if inner, ok := a.(connexa.Text); ok {
			a = inner.Key + fmt.Sprint(inner.Args)
		}
		words = append(words, fmt.Sprint(a))
	}
	return strings.Join(words, " ")
}

func testChannel(id int64, kinds ...connexa.NotificationKind) connexa.Channel {
	return connexa.Channel{ID: id, Name: "ops", Address: connexa.Secret(fmt.Sprintf("generic://127.0.0.1/%d", id)), Lang: "en", On: true, Kinds: kinds}
}

func droppedNotification(node int64) connexa.Notification {
	name := fmt.Sprintf("192.0.2.%d", node)
	return connexa.Notification{Kind: connexa.NotifyNodeDown, At: time.Now(), NodeID: node, Name: name, Text: connexa.T("dropped", name)}
}

// startNotifier runs a Notifier in a synctest bubble until the end of the test.
func startNotifier(t *testing.T, store *memoryStore) (*Notifier, *fakeSender) {
	t.Helper()
	o := &fakeSender{start: time.Now()}
	n := New(Config{Store: store, Words: keyWords, Log: slog.New(slog.DiscardHandler), Send: o.sendMessage, Panel: &url.URL{Scheme: "https", Host: "panel.example.net", User: url.UserPassword("ann", "pw")}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return n, o
}

// TestNotifierSendsLastNotificationsAtShutdown checks that the last notifications are sent, and
// that sending does not delay the shutdown.
func TestNotifierSendsLastNotificationsAtShutdown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before time.Duration // from the previous message to the notification; 0 if there was none
		takes  time.Duration // duration of the last attempt
		sent   int           // total number of attempts
		state  string        // state of the channel at the end
	}{
		{"at once", 0, time.Second, 1, "1 sent"},
		{"within the minute", 10 * time.Second, 0, 1, "1 sent"},
		{"after it", 2 * time.Minute, time.Second, 2, "1 sent"},
		{"to one that hangs", 0, time.Hour, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &memoryStore{list: []connexa.Channel{testChannel(1, connexa.NotifyNodeDown)}}
				o := &fakeSender{start: time.Now()}
				n := New(Config{Store: store, Words: keyWords, Log: slog.New(slog.DiscardHandler), Send: o.sendMessage})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- n.Run(ctx) }()
				if tt.before > 0 {
					n.Notify(droppedNotification(1))
					time.Sleep(gatherDelay + tt.before)
				}
				o.setAnswer(func(ctx context.Context, _ int) error {
					select {
					case <-time.After(tt.takes):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				n.Notify(droppedNotification(2))
				ended := time.Now()
				cancel()
				if err := <-done; err != nil || time.Since(ended) > shutdownTimeout {
					t.Errorf("it ended after %v with %v", time.Since(ended), err)
				}
				if all := o.sentMessages(); len(all) != tt.sent || store.lastState() != tt.state {
					t.Errorf("%d attempts, state %q", len(all), store.lastState())
				}
			})
		})
	}
}

func TestNotifierSendsOneMessageAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{list: []connexa.Channel{testChannel(1, connexa.NotifyNodeDown, connexa.NotifyRunFinished), testChannel(2, connexa.NotifyNewLogin)}}
		n, o := startNotifier(t, store)
		for node := range int64(12) {
			n.Notify(droppedNotification(node + 1))
		}
		n.Notify(droppedNotification(3)) // the same node again
		time.Sleep(10 * time.Second)
		// In the following ten minutes, a node goes down every second.
		for node := range int64(600) {
			n.Notify(droppedNotification(1000 + node))
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Minute)
		all := o.sentMessages()
		if want := "en notify.many.node_dropped 12 192.0.2.1, 192.0.2.2, 192.0.2.3 notify.more[9]\n\nhttps://panel.example.net/"; all[0].text != want {
			t.Errorf("%q, want %q", all[0].text, want)
		}
		if all[0].at != gatherDelay {
			t.Errorf("the first message went out after %v", all[0].at)
		}
		reported := 0
		for i, m := range all {
			if i > 0 && m.at-all[i-1].at < time.Minute {
				t.Errorf("messages at %v and %v", all[i-1].at, m.at)
			}
			if m.to != "generic://127.0.0.1/1" {
				t.Errorf("%s got a message, want none", m.to)
			}
			var count int
			if _, err := fmt.Sscanf(m.text, "en notify.many.node_dropped %d", &count); err != nil {
				t.Errorf("%q: %v", m.text, err)
			}
			reported += count
		}
		if reported != 612 || len(all) > 12 {
			t.Errorf("%d nodes in %d messages, want 612 in at most 12", reported, len(all))
		}
		if got := store.lastState(); got != "1 sent" {
			t.Errorf("state %q", got)
		}
	})
}

func TestMessageNamesFewNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, o := startNotifier(t, &memoryStore{list: []connexa.Channel{testChannel(1, connexa.NotificationSwitches()...)}})
		n.Notify(droppedNotification(7))
		time.Sleep(time.Minute + gatherDelay)
		n.Notify(droppedNotification(8))
		n.Notify(connexa.Notification{Kind: connexa.NotifyNodeRecovered, At: time.Now(), NodeID: 7, Name: "192.0.2.7", Text: connexa.T("back", "192.0.2.7")})
		for run := range int64(5) {
			n.Notify(connexa.Notification{Kind: connexa.NotifyRunFinished, At: time.Now(), RunID: run + 1, Text: connexa.T("run", run+1)})
		}
		time.Sleep(2 * time.Minute)
		n.Notify(connexa.Notification{Kind: connexa.NotifyRunFinished, At: time.Now(), RunID: 9, Text: connexa.T("run", 9)})
		time.Sleep(2 * time.Minute)
		want := []string{
			"en dropped 192.0.2.7\n\nhttps://panel.example.net/nodes/7",
			"en dropped 192.0.2.8\nen back 192.0.2.7\nen run 1\nen run 2\nen run 3\nen notify.rest 2\n\nhttps://panel.example.net/",
			"en run 9\n\nhttps://panel.example.net/runs/9",
		}
		all := o.sentMessages()
		if len(all) != len(want) {
			t.Fatalf("%d messages: %+v", len(all), all)
		}
		for i, m := range all {
			if m.text != want[i] {
				t.Errorf("%q, want %q", m.text, want[i])
			}
		}
	})
}

func TestNotifierMutesFlappingNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, o := startNotifier(t, &memoryStore{list: []connexa.Channel{testChannel(1, connexa.NotifyNodeDown)}})
		n.Notify(connexa.Notification{Kind: connexa.NotifyNodeFlapping, At: time.Now(), NodeID: 7, Name: "192.0.2.7", Text: connexa.T("flaps")})
		for range 5 {
			quiet := droppedNotification(7)
			quiet.Flapping = true
			n.Notify(quiet)
			time.Sleep(3 * time.Minute)
		}
		n.Notify(connexa.Notification{Kind: connexa.NotifyNodeStable, At: time.Now(), NodeID: 7, Text: connexa.T("settled")}) // the channel does not want this kind
		time.Sleep(3 * time.Minute)
		all := o.sentMessages()
		if len(all) != 1 || !strings.HasPrefix(all[0].text, "en flaps") {
			t.Errorf("got the messages %+v, want one about flapping", all)
		}
	})
}

func TestFailedMessageIsRetriedWithNewNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{list: []connexa.Channel{testChannel(1, connexa.NotifyNodeDown)}}
		n, o := startNotifier(t, store)
		o.setAnswer(func(_ context.Context, attempt int) error {
			if attempt <= 2 {
				return errors.New("POST http://127.0.0.1/1: refused")
			}
			return nil
		})
		n.Notify(droppedNotification(1))
		time.Sleep(10 * time.Second)
		if got := store.lastState(); got != "1 failed: POST •••: refused" {
			t.Errorf("state %q", got)
		}
		n.Notify(droppedNotification(2))
		n.Notify(droppedNotification(1))
		time.Sleep(time.Hour)
		all := o.sentMessages()
		if len(all) != 3 || store.lastState() != "1 sent" {
			t.Fatalf("%d attempts, %s: %+v", len(all), store.lastState(), all)
		}
		if got, want := all[2].text, "en dropped 192.0.2.1\nen dropped 192.0.2.2\nen notify.late "; !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q …", got, want)
		}
		if all[1].at-all[0].at != retryDelays[0] || all[2].at-all[1].at != retryDelays[1] {
			t.Errorf("attempts at %v, %v, %v", all[0].at, all[1].at, all[2].at)
		}
	})
}

func TestMessageIsGivenUpAfterRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, o := startNotifier(t, &memoryStore{list: []connexa.Channel{testChannel(1, connexa.NotifyNodeDown)}})
		o.setAnswer(func(context.Context, int) error { return errors.New("no") })
		n.Notify(droppedNotification(1))
		time.Sleep(3 * time.Hour)
		if got, want := len(o.sentMessages()), 1+len(retryDelays); got != want {
			t.Fatalf("%d attempts, want %d", got, want)
		}
		o.setAnswer(nil)
		n.Notify(droppedNotification(2))
		time.Sleep(time.Minute)
		if all := o.sentMessages(); !strings.HasPrefix(all[len(all)-1].text, "en dropped 192.0.2.2\n\n") {
			t.Errorf("after giving up: %q", all[len(all)-1].text)
		}
	})
}

func TestHangingChannelDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{list: []connexa.Channel{testChannel(1, connexa.NotifyNodeDown), testChannel(2, connexa.NotifyNodeDown)}}
		n, o := startNotifier(t, store)
		let := make(chan struct{})
		n.Send = func(ctx context.Context, address connexa.Secret, m Message) error {
			if strings.HasSuffix(address.Reveal(), "/1") {
				<-let // ignores its context, as shoutrrr does
				return nil
			}
			return o.sendMessage(ctx, address, m)
		}
		n.Notify(droppedNotification(1))
		time.Sleep(10 * time.Second)
		if all := o.sentMessages(); len(all) != 1 {
			t.Errorf("the other channel got %d messages", len(all))
		}
		time.Sleep(20 * time.Minute)
		if got := store.lastState(); got != `1 failed: {"key":"channel.hung"}` {
			t.Errorf("state %q", got)
		}
		if n.attempts.byChannel[1] != maxAttempts {
			t.Errorf("%d attempts hang", n.attempts.byChannel[1])
		}
		close(let)
		time.Sleep(time.Hour)
		if got := store.lastState(); got != "1 sent" {
			t.Errorf("state %q once it answers", got)
		}
	})
}

func TestNotifierReloadsChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{}
		n, o := startNotifier(t, store)
		set := func(list ...connexa.Channel) {
			store.mu.Lock()
			store.list = list
			store.mu.Unlock()
			n.Wake()
			synctest.Wait()
		}
		n.Notify(droppedNotification(1)) // no channel wants it
		set(testChannel(1, connexa.NotifyNodeDown))
		n.Notify(droppedNotification(2))
		synctest.Wait()
		off := testChannel(1, connexa.NotifyNodeDown)
		off.On = false
		set(off) // discards the pending messages
		set(testChannel(1, connexa.NotifyNodeDown))
		time.Sleep(2 * time.Minute)
		if all := o.sentMessages(); len(all) != 0 {
			t.Errorf("got the messages %+v, want none", all)
		}
		o.setAnswer(func(_ context.Context, attempt int) error {
			if attempt == 1 {
				return errors.New("wrong token")
			}
			return nil
		})
		n.Notify(droppedNotification(3))
		time.Sleep(gatherDelay)
		time.Sleep(time.Second)
		mended := testChannel(1, connexa.NotifyNodeDown)
		mended.Address, mended.Lang = "generic://127.0.0.1/fresh", "ru"
		set(mended)
		time.Sleep(2 * time.Minute)
		all := o.sentMessages()
		if len(all) != 2 || all[1].to != "generic://127.0.0.1/fresh" || !strings.HasPrefix(all[1].text, "ru dropped") {
			t.Errorf("got the messages %+v, want two, the second one to the new address in Russian", all)
		}
		set()
		n.Notify(droppedNotification(4))
		time.Sleep(2 * time.Minute)
		if len(o.sentMessages()) != 2 {
			t.Error("a removed channel got a message")
		}
	})
}

func TestNotifyNeverBlocks(t *testing.T) {
	n := New(Config{Store: &memoryStore{}, Words: keyWords, Log: slog.New(slog.DiscardHandler)}) // Run is not called
	for range maxInbox + 100 {
		n.Notify(droppedNotification(1))
	}
	if got := len(n.inbox); got != maxInbox {
		t.Errorf("%d wait", got)
	}
}

func TestDigestIsBounded(t *testing.T) {
	var d digest
	for node := range int64(3 * maxNodes) {
		notification := droppedNotification(node + 1)
		notification.Text, notification.Name = connexa.T(strings.Repeat("ж", 5000)), strings.Repeat("ж", 300)
		d.add(notification)
	}
	p := d.kinds[connexa.NotifyNodeDown]
	if p.notificationCount() != 3*maxNodes || len(p.nodes) != maxNodes || len(p.first) != maxFirst {
		t.Errorf("count %d, %d nodes, %d kept", p.notificationCount(), len(p.nodes), len(p.first))
	}
	for _, kind := range connexa.NotificationKinds() {
		d.add(connexa.Notification{Kind: kind, At: time.Now(), Text: connexa.T(strings.Repeat("ж", 5000))})
	}
	n := New(Config{Words: keyWords, Panel: &url.URL{Scheme: "https", Host: "panel.example.net"}})
	if m := d.formatMessage(n, "ru"); len(m.Text) > 4096 || len(m.Title) > maxTitle || strings.ContainsRune(m.Text, '\uFFFD') {
		t.Errorf("%d bytes under a title of %d", len(m.Text), len(m.Title))
	}
}

func TestTestMessageReportsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{list: []connexa.Channel{testChannel(1)}}
		n, o := startNotifier(t, store)
		if err := n.Test(t.Context(), store.list[0]); err != nil {
			t.Error(err)
		}
		if all := o.sentMessages(); len(all) != 1 || all[0].at != 0 || !strings.HasPrefix(all[0].text, "en notify.test\n\nhttps://") {
			t.Errorf("got the messages %+v, want one test message at once", all)
		}
		o.setAnswer(func(context.Context, int) error { return errors.New("generic://127.0.0.1/1 is gone") })
		err := n.Test(t.Context(), store.list[0])
		if connexa.CodeOf(err) != connexa.Invalid || keyWords("", connexa.TextOf(err)) != " channel.test.failed ops ••• is gone" {
			t.Errorf("%v", err)
		}
		if store.lastState() != "1 failed: ••• is gone" {
			t.Error(store.lastState())
		}
	})
}
