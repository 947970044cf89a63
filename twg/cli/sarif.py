"""What a scan found as a SARIF log (OASIS, version 2.1.0), which code hosts and editors show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from guard.lookout import REFUSED
from guard.shapes import SHAPES
from twg import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from twg.cli.findings import Found

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def log_of(
    found: Sequence[Found], *, skipped: Mapping[Path, str], unreadable: Mapping[Path, str]
) -> dict[str, Any]:
    """Return the log, as JSON values.

    Args:
        found: What was found.
        skipped: What was passed over on purpose, and why.
        unreadable: What could not be read, and why.
    """
    kinds = sorted({each.kind for each in found})
    notes = [_notification(path, why, "note") for path, why in skipped.items()]
    errors = [_notification(path, why, "error") for path, why in unreadable.items()]
    run = {
        "tool": {
            "driver": {
                "name": "twg guard scan",
                "semanticVersion": __version__,
                "rules": [_rule(kind) for kind in kinds],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not unreadable,
                "toolExecutionNotifications": [*errors, *notes],
            }
        ],
        "results": [_result(each, kinds.index(each.kind)) for each in found],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(kind: str) -> dict[str, Any]:
    return {
        "id": kind,
        "shortDescription": {"text": _named(kind)},
        "defaultConfiguration": {"level": "error"},
    }


def _result(found: Found, rule: int) -> dict[str, Any]:
    region = {"startLine": found.line}
    if found.column is not None:
        region["startColumn"] = found.column
    return {
        "ruleId": found.kind,
        "ruleIndex": rule,
        "level": "error",
        "message": {"text": f"This is {_named(found.kind)}; revoke it where it was made."},
        "locations": [{"physicalLocation": {**_artifact(found.path), "region": region}}],
    }


def _notification(path: Path, why: str, level: str) -> dict[str, Any]:
    return {
        "level": level,
        "message": {"text": why},
        "locations": [{"physicalLocation": _artifact(path)}],
    }


def _artifact(path: Path) -> dict[str, Any]:
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return {"artifactLocation": {"uri": uri}}


def _named(kind: str) -> str:
    """Return a kind as it fits into a sentence."""
    if kind == REFUSED:
        return "a secret that twg refused as an argument"
    known = {shape.kind: shape.name for shape in SHAPES}
    return known.get(kind, f"a secret that twg knows ({kind})")
