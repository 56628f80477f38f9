package db

import (
	"bytes"
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

// KeyFile is the name of the key file in the data folder.
const KeyFile = "connexa.key"

// keyring seals values that must not be readable in a stolen database file
// (XChaCha20-Poly1305), and makes digests of values that must be found without opening
// them (HMAC-SHA-256). Both keys are derived from the admin's key.
type keyring struct {
	source string // of the key, for messages
	aead   cipher.AEAD
	mac    []byte
	cookie [2][]byte // keys that sign and encrypt cookies
}

// openKeyring takes the key from o.Key or the key file. It creates a key for a new data
// folder.
func openKeyring(o Options) (*keyring, error) {
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
	// A folder with a database had a key, and a new one would not open it.
	if info, err := os.Stat(filepath.Join(o.Dir, File)); err == nil && info.Size() > 0 {
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
	return newKeyring(path, raw)
}

func parseKey(from, text string) (*keyring, error) {
	raw, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != chacha20poly1305.KeySize {
		return nil, connexa.Errorf(connexa.Invalid, "start.key.form", from)
	}
	return newKeyring(from, raw)
}

func newKeyring(from string, raw []byte) (*keyring, error) {
	var keys [4][]byte
	for i, purpose := range []string{"connexa seal", "connexa digest", "connexa cookie sign", "connexa cookie seal"} {
		var err error
		if keys[i], err = hkdf.Expand(sha256.New, raw, purpose, 32); err != nil {
			return nil, fmt.Errorf("derive key: %w", err)
		}
	}
	aead, err := chacha20poly1305.NewX(keys[0])
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return &keyring{source: from, aead: aead, mac: keys[1], cookie: [2][]byte{keys[2], keys[3]}}, nil
}

// CookieKeys returns the keys, 32 bytes each, that sign and encrypt the cookies that
// contain more than a token.
func (d *DB) CookieKeys() (sign, encrypt []byte) {
	return bytes.Clone(d.ring.cookie[0]), bytes.Clone(d.ring.cookie[1])
}

// seal encrypts plain and binds it to a purpose such as "node.password", so that a value
// of one column does not open in another.
func (k *keyring) seal(purpose string, plain []byte) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	rand.Read(nonce)
	return k.aead.Seal(nonce, nonce, plain, []byte(purpose))
}

// unseal is the inverse of seal.
func (k *keyring) unseal(purpose string, sealed []byte) ([]byte, error) {
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

// keyedDigest returns a keyed digest of parts. It is equal for equal parts; without the
// key nobody can test guesses against it.
func (k *keyring) keyedDigest(purpose string, parts ...string) []byte {
	h := hmac.New(sha256.New, k.mac)
	fmt.Fprintf(h, "%s\x00", purpose)
	for _, p := range parts {
		fmt.Fprintf(h, "%d\x00%s", len(p), p)
	}
	return h.Sum(nil)[:16]
}
