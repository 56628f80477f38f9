package handlers

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// parseForm reads the form of r into r.PostForm.
func parseForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	return nil
}

// formID returns the {id} of the path and reads the form into r.PostForm.
func formID(r *http.Request) (int64, error) {
	id, err := pathID(r)
	if err != nil {
		return 0, err
	}
	return id, parseForm(r)
}

// formSelection reads the form into r.PostForm and returns the selection in it.
func formSelection(r *http.Request) (connexa.Selection, error) {
	if err := parseForm(r); err != nil {
		return connexa.Selection{}, err
	}
	return selectionOf(r.PostForm)
}

// badForm is the error of a form that cannot be read.
func badForm(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return &connexa.Error{Code: connexa.Invalid, Text: connexa.T("error.form"), Err: err}
}

// pathID returns the {id} of the path, or NotFound if it is not a positive number.
func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	return id, nil
}
