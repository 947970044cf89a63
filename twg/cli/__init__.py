"""The `twg` command: a file a command group, each thin over the core."""
