package app

import "context"

type proofKey struct{}

// WithProof returns a context whose actor has entered the own password within the
// last minutes, which some acts ask for.
func WithProof(ctx context.Context) context.Context {
	return context.WithValue(ctx, proofKey{}, true)
}

// Proved reports whether ctx comes from WithProof.
func Proved(ctx context.Context) bool {
	proved, _ := ctx.Value(proofKey{}).(bool)
	return proved
}
