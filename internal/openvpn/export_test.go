package openvpn

// Inspect is for tests that make devices.
var Inspect = inspectDevice
