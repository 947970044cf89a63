"""`twg guard`: finds secrets where none belongs, and removes them from histories."""

from __future__ import annotations

from twg.cli.command import Group

guard = Group(
    "guard",
    help="Find secrets where none belongs, and remove them.",
    lazy={
        "scan": (
            "twg.cli.guard_scan:scan_command",
            "Find secrets in files and histories; it shows none.",
        ),
        "scrub-history": (
            "twg.cli.guard_history:scrub_history",
            "Remove entries with secrets from histories.",
        ),
        "filter": (
            "twg.cli.guard_filter:filter_command",
            "Copy stdin to stdout without the secrets in it.",
        ),
    },
)
