package cli

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/conns"
	"github.com/connexa-panel/connexa/internal/speed"
)

// speedShutdownTimeout bounds the running tests at shutdown.
const speedShutdownTimeout = 3 * time.Second

// speedTimes returns the deadlines of requests that have not shown the token.
func speedTimes() conns.Times {
	t := conns.UsualTimes
	t.Idle = time.Minute
	return t
}

// Connections that a speed server accepts beyond those of served requests, so that it can
// answer 429 to a client above its limits.
const (
	speedSparePerAddr = 16
	speedSpare        = 64
)

// SpeedServer serves speed tests until ctx is done.
func SpeedServer(ctx context.Context, cfg config.SpeedServer, out io.Writer) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for speed tests: %w", err)
	}
	web := &http.Server{}
	l = conns.BoundServer(l, conns.Bounds{Total: cfg.AtOnce + speedSpare, PerAddress: cfg.PerAddr + speedSparePerAddr}, web)
	scheme := "http"
	if cfg.TLSCert != "" {
		if err := db.CheckTLSKey(cfg.TLSKey); err != nil {
			return errors.Join(err, l.Close())
		}
		pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return errors.Join(fmt.Errorf("read the certificate: %w", err), l.Close())
		}
		// HTTP/2 would put the separate streams of a test into one connection.
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
		scheme = "https"
	}
	made := cfg.Token == ""
	if made {
		cfg.Token = connexa.Secret(rand.Text())
	}
	fmt.Fprintf(out, "speed tests: %s://%s\n", scheme, l.Addr())
	if made {
		fmt.Fprintf(out, "token: %s (made for this start; CONNEXA_SPEED_TOKEN sets one that stays)\n", cfg.Token.Reveal())
	}
	if cfg.TLSCert == "" && !config.OnLoopback(cfg.Listen) {
		fmt.Fprintln(out, "without --tls-cert whoever is on the way reads the token, and may use this machine's bandwidth")
	}
	return serveSpeed(ctx, web, l, speedTimes(), speed.NewServer(speed.ServerOptions{
		Token: cfg.Token, MaxBytes: int64(cfg.RequestMB) * 1e6, MaxAtOnce: cfg.AtOnce, MaxPerAddr: cfg.PerAddr, Rate: int64(cfg.RateMbit) * 1e6,
	}))
}

// serveSpeed serves l until ctx is done, and closes it.
func serveSpeed(ctx context.Context, web *http.Server, l net.Listener, t conns.Times, h *speed.Server) error {
	web.Handler, web.MaxHeaderBytes, web.Protocols = t.Guard(h), 16<<10, new(http.Protocols)
	t.Apply(web)
	web.Protocols.SetHTTP1(true)
	before := web.ConnContext
	web.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if before != nil {
			ctx = before(ctx, c)
		}
		return h.ConnContext(ctx, c)
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve speed tests: %w", err)
	case <-ctx.Done():
	}
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), speedShutdownTimeout)
	defer cancel()
	err := web.Shutdown(leave)
	if errors.Is(err, context.DeadlineExceeded) {
		err = web.Close()
	}
	<-served //nolint:errcheck // http.ErrServerClosed
	return err
}
