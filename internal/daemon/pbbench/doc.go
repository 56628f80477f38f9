// Package pbbench compares the node list with the list API of PocketBase over the same
// rows. It is a module of its own, so that the panel does not depend on PocketBase.
package pbbench
