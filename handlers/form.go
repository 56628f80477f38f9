package handlers

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// badForm is what to say of a form that cannot be read.
func badForm(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return &connexa.Error{Code: connexa.Invalid, Text: connexa.T("error.form"), Err: err}
}

// pathID reads the {id} of an address; what is no number names nothing.
func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	return id, nil
}
