package handlers

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// renderPage answers with a whole page.
func (h *Handlers) renderPage(w http.ResponseWriter, r *http.Request, c templ.Component) {
	h.fragmentStatus(w, r, http.StatusOK, c)
}

// renderFragment answers with a part of a page.
func (h *Handlers) renderFragment(w http.ResponseWriter, r *http.Request, c templ.Component) {
	h.fragmentStatus(w, r, http.StatusOK, c)
}

// fragmentStatus answers with a component and that status. It is drawn whole
// before the first byte goes out, so that an error can still be one.
func (h *Handlers) fragmentStatus(w http.ResponseWriter, r *http.Request, status int, c templ.Component) {
	var b bytes.Buffer
	// Who took too long, or left, ends the context: that is no reason to fail here.
	if err := c.Render(context.WithoutCancel(r.Context()), &b); err != nil {
		h.log.Error("draw a page", "path", r.URL.Path, "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if _, err := w.Write(b.Bytes()); err != nil {
		h.log.Debug("send a page", "path", r.URL.Path, "err", err)
	}
}

// redirectTo sends the browser on after a form.
func (h *Handlers) redirectTo(w http.ResponseWriter, r *http.Request, to string) {
	if isHTMX(r) {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// renderFailure answers with what err has to say. This and statusOf are the only places
// where a code becomes a status. The cause goes to the log, never to the page.
func (h *Handlers) renderFailure(w http.ResponseWriter, r *http.Request, err error) {
	code, text := connexa.CodeOf(err), connexa.TextOf(err)
	var large *http.MaxBytesError
	var wait *app.WaitError
	switch {
	case errors.As(err, &large):
		code, text = tooLarge, connexa.T("error.too_large", large.Limit>>20)
		w.Header().Set("Connection", "close")
	case errors.Is(err, os.ErrDeadlineExceeded):
		code, text = tooLate, connexa.T("error.too_late")
		w.Header().Set("Connection", "close")
	case errors.Is(err, context.Canceled) && r.Context().Err() == context.Canceled:
		code = readerLeft
	case errors.Is(err, context.DeadlineExceeded):
		code, text = connexa.Busy, connexa.T("error.too_slow")
	case errors.As(err, &wait):
		w.Header().Set("Retry-After", ceilSeconds(wait.Wait))
	}
	switch {
	case r.Context().Err() == context.Canceled:
		h.log.Debug("the reader left", "path", r.URL.Path, "err", err)
	case code == connexa.Internal:
		h.log.Error("request failed", "path", r.URL.Path, "err", err)
	case code == connexa.Busy:
		h.log.Warn("request refused", "path", r.URL.Path, "err", err)
	}
	h.renderError(w, r, code, text)
}

// Codes that only HTTP knows.
const (
	tooLarge   connexa.Code = "too_large"
	tooLate    connexa.Code = "too_late"    // the request did not arrive in time
	readerLeft connexa.Code = "reader_left" // nobody reads the answer
)

// statusLeft is what the log has of an answer that nobody reads, as nginx has it.
const statusLeft = 499

func statusOf(code connexa.Code) int {
	switch code {
	case connexa.Invalid:
		return http.StatusUnprocessableEntity
	case connexa.NotFound:
		return http.StatusNotFound
	case connexa.Conflict:
		return http.StatusConflict
	case connexa.Forbidden:
		return http.StatusForbidden
	case connexa.Busy:
		return http.StatusServiceUnavailable
	case connexa.TooSoon:
		return http.StatusTooManyRequests
	case tooLarge:
		return http.StatusRequestEntityTooLarge
	case tooLate:
		return http.StatusRequestTimeout
	case readerLeft:
		return statusLeft
	default:
		return http.StatusInternalServerError
	}
}

// renderError answers with a sentence: to htmx as a toast, to a browser as a page.
func (h *Handlers) renderError(w http.ResponseWriter, r *http.Request, code connexa.Code, text connexa.Text) {
	status := statusOf(code)
	if code == connexa.Busy {
		w.Header().Set("Retry-After", "5")
	}
	if isHTMX(r) {
		w.Header().Set("HX-Retarget", "#toasts")
		w.Header().Set("HX-Reswap", "beforeend")
		h.fragmentStatus(w, r, status, views.ToastItem(views.Toast{Tone: views.ToneBad, Text: text}))
		return
	}
	h.fragmentStatus(w, r, status, views.Failure(h.layoutData(w, r, connexa.T("failure.title"), views.NavNone), status, text))
}

func ceilSeconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}
