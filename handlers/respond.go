package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// page answers a request, or returns an error that the adapter handle renders.
type page func(w http.ResponseWriter, r *http.Request) error

// handle adapts f to net/http. It renders the error that f returns, unless the answer has
// begun: then it only logs it.
func (h *Handlers) handle(f page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		if err == nil {
			return
		}
		if rec := recorderOf(w); rec != nil && rec.status != 0 {
			h.log.Warn("request failed after the answer began", "path", r.URL.Path, "err", err)
			return
		}
		h.renderError(w, r, err)
	}
}

// renderPage answers with a whole page.
func (h *Handlers) renderPage(w http.ResponseWriter, r *http.Request, c templ.Component) error {
	return h.renderStatus(w, r, http.StatusOK, c)
}

// renderFragment answers with a part of a page.
func (h *Handlers) renderFragment(w http.ResponseWriter, r *http.Request, c templ.Component) error {
	return h.renderStatus(w, r, http.StatusOK, c)
}

// renderStatus answers with a component and a status. It draws the component before it
// writes, so that a drawing error can still be rendered.
func (h *Handlers) renderStatus(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var b bytes.Buffer
	// An ended context is no reason to stop drawing.
	if err := c.Render(context.WithoutCancel(r.Context()), &b); err != nil {
		return fmt.Errorf("draw a page: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if _, err := w.Write(b.Bytes()); err != nil {
		h.log.Debug("send a page", "path", r.URL.Path, "err", err)
	}
	return nil
}

// redirectTo sends the browser to another page after a form. It returns nil, so that a
// handler can end with it.
func (h *Handlers) redirectTo(w http.ResponseWriter, r *http.Request, to string) error {
	if isHTMX(r) {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusNoContent)
	} else {
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
	return nil
}

// redirectDone ends a form: the page to, which it redirects to, shows message.
func (h *Handlers) redirectDone(w http.ResponseWriter, r *http.Request, message connexa.Text, to string) error {
	h.addFlash(w, r, message)
	return h.redirectTo(w, r, to)
}

// doneInPlace ends a form whose effect the page shows through its stream: htmx gets
// message as a toast, other browsers the answer of done.
func (h *Handlers) doneInPlace(w http.ResponseWriter, r *http.Request, tone views.Tone, message connexa.Text, to string) error {
	if isHTMX(r) {
		return h.renderFragment(w, r, views.ToastPartial(views.Toast{Tone: tone, Text: message}))
	}
	return h.redirectDone(w, r, message, to)
}

// renderFormError calls draw to draw a form again with a message at each field, and
// returns any other error.
func renderFormError(err error, draw func(status int, errs connexa.FieldErrors) error) error {
	if errs, ok := errors.AsType[connexa.FieldErrors](err); ok {
		return draw(http.StatusUnprocessableEntity, errs)
	}
	return err
}

// renderError answers with the code and the text of err. It and statusOf are the only
// places that turn a code into a status. The cause goes to the log, never to the page.
func (h *Handlers) renderError(w http.ResponseWriter, r *http.Request, err error) {
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
	h.renderMessage(w, r, code, text)
}

// Codes that exist only in HTTP.
const (
	tooLarge   connexa.Code = "too_large"
	tooLate    connexa.Code = "too_late"    // the request did not arrive in time
	readerLeft connexa.Code = "reader_left" // the client closed the request
)

// statusLeft is the logged status of a request that the client closed, as in nginx.
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

// renderMessage answers with a message: to htmx as a toast, to a browser as a page.
func (h *Handlers) renderMessage(w http.ResponseWriter, r *http.Request, code connexa.Code, text connexa.Text) {
	status := statusOf(code)
	if code == connexa.Busy {
		w.Header().Set("Retry-After", "5")
	}
	c := views.ToastItem(views.Toast{Tone: views.ToneBad, Text: text})
	if isHTMX(r) {
		w.Header().Set("HX-Retarget", "#toasts")
		w.Header().Set("HX-Reswap", "beforeend")
	} else {
		c = views.Failure(h.layoutData(w, r, connexa.T("failure.title"), views.NavNone), status, text)
	}
	if err := h.renderStatus(w, r, status, c); err != nil {
		h.log.Error("request failed", "path", r.URL.Path, "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

func ceilSeconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}
