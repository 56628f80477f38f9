package app

import "context"

type proofKey struct{}

// WithProof returns a context of an actor who entered the account's password recently.
// Some acts require it.
func WithProof(ctx context.Context) context.Context {
	return context.WithValue(ctx, proofKey{}, true)
}

// Proved reports whether ctx has a proof from WithProof.
func Proved(ctx context.Context) bool {
	proved, _ := ctx.Value(proofKey{}).(bool)
	return proved
}
