"""Records the terminal session that the README shows."""
