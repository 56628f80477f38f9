package db

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// KeyFile is the name of the key's file inside the data folder.
const KeyFile = "connexa.key"

// keyring seals what must not be read from a stolen database file
// (XChaCha20-Poly1305) and digests what must be found again without opening it
// (HMAC-SHA-256). Both keys are derived from the one that the admin keeps.
type keyring struct {
	aead cipher.AEAD
	mac  []byte
}

// openKeyring takes the key from o.Key or the key file; a fresh data folder gets
// a new one.
func openKeyring(o Options) (*keyring, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	if o.Key != "" {
		return parseKey("CONNEXA_KEY", o.Key.Reveal())
	}
	path := filepath.Join(o.Dir, KeyFile)
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		return parseKey(path, string(text))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, File)); err == nil {
		return nil, connexa.Errorf(connexa.Invalid, "start.key.missing", path)
	}
	raw := make([]byte, chacha20poly1305.KeySize)
	rand.Read(raw)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	_, err = fmt.Fprintln(f, hex.EncodeToString(raw))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	return newKeyring(raw)
}

func parseKey(from, text string) (*keyring, error) {
	raw, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != chacha20poly1305.KeySize {
		return nil, connexa.Errorf(connexa.Invalid, "start.key.form", from)
	}
	return newKeyring(raw)
}

func newKeyring(raw []byte) (*keyring, error) {
	sealing, err := hkdf.Expand(sha256.New, raw, "connexa seal", chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	mac, err := hkdf.Expand(sha256.New, raw, "connexa digest", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	aead, err := chacha20poly1305.NewX(sealing)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return &keyring{aead: aead, mac: mac}, nil
}

// seal encrypts plain. The purpose, such as "node.password", is bound to it, so
// that what was sealed for one column does not open in another.
func (k *keyring) seal(purpose string, plain []byte) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	rand.Read(nonce)
	return k.aead.Seal(nonce, nonce, plain, []byte(purpose))
}

// open is the inverse of seal.
func (k *keyring) open(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, fmt.Errorf("open %s: %d bytes are too few", purpose, len(sealed))
	}
	n := chacha20poly1305.NonceSizeX
	plain, err := k.aead.Open(nil, sealed[:n], sealed[n:], []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("open %s: the key does not fit", purpose)
	}
	return plain, nil
}

// digest is a keyed digest of parts: equal for equal parts, and without the key
// nobody can try guesses against it.
func (k *keyring) digest(purpose string, parts ...string) []byte {
	h := hmac.New(sha256.New, k.mac)
	fmt.Fprintf(h, "%s\x00", purpose)
	for _, p := range parts {
		fmt.Fprintf(h, "%d\x00%s", len(p), p)
	}
	return h.Sum(nil)[:16]
}
