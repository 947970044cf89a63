"""Git over HTTPS with a stored token that neither git nor its caller ever holds.

`remote_http` runs git's own HTTP helper against the `bridge`, a short-lived server on loopback that
adds the credential and speaks TLS to one repository only; `repository` says what an address means.
"""
