"""Sign in, renew, sign out: the core that composes protocol and store."""
