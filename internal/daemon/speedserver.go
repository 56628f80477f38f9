package daemon

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

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/speed"
)

const (
	// speedLeave is how long a test that runs may take to end.
	speedLeave = 3 * time.Second
	// speedIdle is how long a connection may say nothing.
	speedIdle = time.Minute
)

// SpeedServer is the far end of speed tests, until ctx is done.
func SpeedServer(ctx context.Context, cfg config.SpeedServer, out io.Writer) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for speed tests: %w", err)
	}
	scheme := "http"
	if cfg.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return errors.Join(fmt.Errorf("read the certificate: %w", err), l.Close())
		}
		// HTTP/2 would make one stream of those that a test counts on.
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
	return serveSpeed(ctx, l, speed.NewServer(speed.ServerOptions{
		Token: cfg.Token, MaxBytes: int64(cfg.RequestMB) * 1e6, MaxAtOnce: cfg.AtOnce, MaxPerAddr: cfg.PerAddr, Rate: int64(cfg.RateMbit) * 1e6,
	}))
}

// serveSpeed serves l, which it closes, until ctx is done.
func serveSpeed(ctx context.Context, l net.Listener, h *speed.Server) error {
	web := &http.Server{
		Handler: h, ConnContext: h.ConnContext, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: speedIdle, MaxHeaderBytes: 16 << 10,
		Protocols: new(http.Protocols),
	}
	web.Protocols.SetHTTP1(true)
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve speed tests: %w", err)
	case <-ctx.Done():
	}
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), speedLeave)
	defer cancel()
	err := web.Shutdown(leave)
	if errors.Is(err, context.DeadlineExceeded) {
		err = web.Close()
	}
	<-served
	return err
}
