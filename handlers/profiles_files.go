package handlers

import (
	"archive/zip"
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// profileType is the media type of .ovpn files.
const profileType = "application/x-openvpn-profile"

// profileFiles answers GET /profiles/{id}/files, after a recent authentication: the
// file of a profile for one node, or a zip for several.
func (h *Handlers) profileFiles(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	var nodes []int64
	for _, text := range r.URL.Query()["node"] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return connexa.Errorf(connexa.Invalid, "nodes.select.id", text)
		}
		nodes = append(nodes, n)
	}
	if len(nodes) == 0 {
		return connexa.Errorf(connexa.Invalid, "nodes.select.none")
	}
	host, err := h.fileHost(r)
	if err != nil {
		return err
	}
	files, err := h.profiles.ProfileFiles(r.Context(), id, nodes, host)
	if err != nil {
		return err
	}
	if len(files) == 1 {
		h.writeAttachment(w, files[0].Name, profileType, files[0].Body)
		return nil
	}
	body, err := zipFiles(files)
	if err != nil {
		return err
	}
	h.writeAttachment(w, "profiles.zip", "application/zip", body)
	return nil
}

// zipFiles puts files into a zip. It numbers equal names, because two nodes may have
// one address.
func zipFiles(files []app.ProfileFile) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	seen := map[string]int{}
	for _, f := range files {
		name := f.Name
		if seen[f.Name]++; seen[f.Name] > 1 {
			name = strconv.Itoa(seen[f.Name]) + "-" + name
		}
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(f.Body)
		}
		if err != nil {
			return nil, fmt.Errorf("zip profiles: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("zip profiles: %w", err)
	}
	return b.Bytes(), nil
}

func (h *Handlers) writeAttachment(w http.ResponseWriter, name, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if _, err := w.Write(body); err != nil {
		h.log.Debug("send a profile", "err", err)
	}
}

// profileByLink answers GET /profile, the target of a one-time link, with a form for
// the token. The page's script fills it in from the fragment of the URL, so that the
// token is sent only in a body.
func (h *Handlers) profileByLink(w http.ResponseWriter, r *http.Request) error {
	if r.URL.RawQuery != "" {
		// A link of an earlier version, whose token is in the logs of all proxies on the way.
		return connexa.Errorf(connexa.NotFound, "profile.link.old")
	}
	if !h.vpns.Exits() {
		return connexa.Errorf(connexa.NotFound, "profile.link.gone")
	}
	return h.renderPage(w, r, views.TakeProfilePage(h.layoutData(w, r, connexa.T("profile.take.title"), views.NavNone)))
}

// takeProfile answers POST /profile with the file, once.
func (h *Handlers) takeProfile(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	_, token, found := strings.Cut(r.PostForm.Get("token"), "#") // accept the whole link, too
	if !found {
		token = r.PostForm.Get("token")
	}
	token = strings.ToUpper(strings.TrimSpace(token))
	if err := h.linkGood(r, token); err != nil {
		return err
	}
	host, err := h.fileHost(r)
	if err != nil {
		return err
	}
	file, err := h.profiles.TakeProfile(r.Context(), token, host)
	if err != nil {
		return err
	}
	h.writeAttachment(w, file.Name, profileType, file.Body)
	return nil
}

func (h *Handlers) linkGood(r *http.Request, token string) error {
	if !h.vpns.Exits() {
		return connexa.Errorf(connexa.NotFound, "profile.link.gone")
	}
	err := h.profiles.ProfileLinkGood(r.Context(), token)
	if connexa.CodeOf(err) == connexa.NotFound {
		return connexa.Errorf(connexa.NotFound, "profile.link.gone")
	}
	return err
}
