package probe

// Named is named, for tests.
var Named = named
