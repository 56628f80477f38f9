package openvpn

// Inspect is for tests that create devices.
var Inspect = inspectDevice
