"""A Model Context Protocol server on standard input and output: what an agent's program can ask."""
