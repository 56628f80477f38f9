package handlers

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// maxRows is the maximum number of rows of a page and its stream.
const maxRows = 200

// encodeRows encodes the ids of the rows of a page as a token for the URL of its
// stream: sorted, the differences as varints, in base64url. Neighbouring ids take one
// or two bytes each.
func encodeRows(ids []int64) string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var b []byte
	last := int64(0)
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(id-last))
		last = id
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodeRows is the inverse of encodeRows. The empty token has no rows. A malformed
// token, or one with more than maxRows rows, is Invalid.
func decodeRows(token string) ([]int64, error) {
	bad := connexa.Errorf(connexa.Invalid, "error.rows")
	if len(token) > base64.RawURLEncoding.EncodedLen(maxRows*binary.MaxVarintLen64) {
		return nil, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, bad
	}
	var ids []int64
	last := int64(0)
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 || step == 0 || step > uint64(math.MaxInt64-last) || len(ids) == maxRows {
			return nil, bad
		}
		last += int64(step)
		ids = append(ids, last)
		b = b[n:]
	}
	return ids, nil
}
