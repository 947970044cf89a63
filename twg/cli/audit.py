"""`twg audit`: reads and proves the record of every handling of a secret."""

from __future__ import annotations

from twg.cli.command import Group

audit = Group(
    "audit",
    help="Read and prove the record of every handling of a secret.",
    lazy={
        "show": ("twg.cli.audit_show:show", "Show what was done, by whom and with which secret."),
        "verify": ("twg.cli.audit_verify:verify_command", "Prove that nothing of it was altered."),
        "report": ("twg.cli.audit_report:report", "Sum it up, as text or as a page."),
        "export": ("twg.cli.audit_export:export", "Print it in other programs' formats."),
    },
)
