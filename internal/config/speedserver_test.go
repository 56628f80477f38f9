package config

import (
	"io"
	"strings"
	"testing"
)

func TestSpeedServer(t *testing.T) {
	t.Setenv("CONNEXA_SPEED_TOKEN", "Blue-Kite-7")
	c, err := Parse([]string{"speed-server"}, io.Discard)
	if err != nil || c.SpeedServer == nil || c.SpeedServer.Listen != ":8081" || c.SpeedServer.Token.Reveal() != "Blue-Kite-7" ||
		c.SpeedServer.RequestMB != 1024 || c.SpeedServer.RateMbit != 0 {
		t.Fatalf("by default: %+v, %v", c.SpeedServer, err)
	}
	t.Setenv("CONNEXA_SPEED_RATE_MBIT", "500")
	c, err = Parse(strings.Fields("speed-server --listen 127.0.0.1:9000 --at-once 8 --per-address 5"), io.Discard)
	if err != nil || c.SpeedServer.Listen != "127.0.0.1:9000" || c.SpeedServer.AtOnce != 8 || c.SpeedServer.PerAddr != 5 || c.SpeedServer.RateMbit != 500 {
		t.Fatalf("with flags: %+v, %v", c.SpeedServer, err)
	}
	for _, tt := range []struct{ words, want string }{
		{"speed-server --listen 8081", "ADDRESS:PORT"},
		{"speed-server --tls-cert a.pem", "go together"},
		{"speed-server --at-once 0", "--at-once"},
		{"speed-server --rate-mbit -1", "--rate-mbit"},
		{"speed-server --token hunter2", "CONNEXA_SPEED_TOKEN"},
	} {
		_, err := Parse(strings.Fields(tt.words), io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("connexa %s: %v; want %q in it", tt.words, err, tt.want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("connexa %s: the token is in %v", tt.words, err)
		}
	}
}
