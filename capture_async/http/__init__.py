"""HTTP to a camera: client, login, TLS."""
