package views

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// qrMargin is the required white margin around a QR code, in modules.
const qrMargin = 4

// qrDrawing is a QR code as SVG paths with one unit per module.
type qrDrawing struct{ box, paper, path string }

// qrCode draws text. It returns the zero qrDrawing if text is too long for a code.
func qrCode(text string) qrDrawing {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return qrDrawing{}
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+qrMargin, y+qrMargin, x-from, x-from)
			}
		}
	}
	size := code.Size + 2*qrMargin
	return qrDrawing{box: fmt.Sprintf("0 0 %d %d", size, size), paper: fmt.Sprintf("M0 0h%dv%dh-%dz", size, size, size), path: path.String()}
}
