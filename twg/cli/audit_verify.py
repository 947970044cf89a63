"""`twg audit verify`: proves that nothing of the record was altered, or names what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio import to_thread

from guard.errors import AuditBroken
from twg.cli.audit_proof import proof_of
from twg.cli.command import command

if TYPE_CHECKING:
    from guard.errors import Fault
    from guard.verifying import Proof
    from twg.cli.wiring import Wiring


@command("verify")
async def verify_command(wiring: Wiring) -> None:
    """Prove that no record was changed, removed, inserted, moved or cut off.

    It follows the whole chain, through all files. Ends with 0 where it is whole, and with 74 where
    it is not; then it names the first bad record by file, line and number, and what is wrong. What
    this cannot show is in SECURITY.md.
    """
    watched = wiring.output.mode == "text" and wiring.agent is None and wiring.stderr.isatty()

    def told(done: int, of: int) -> None:
        if watched:
            wiring.output.progress(f"{done:,} of {max(done, of):,} records checked")

    def proven() -> Proof:
        try:
            return proof_of(wiring.settings.state_dir, told=told)
        finally:
            if watched:
                wiring.output.progress("")

    try:
        proof = await to_thread.run_sync(proven, abandon_on_cancel=True)
    except AuditBroken as error:
        if wiring.output.mode == "json" and error.fault is not None:
            error.data = {"fault": _fault(error.fault)}
        raise
    _tell(wiring, proof)


def _tell(wiring: Wiring, proof: Proof) -> None:
    data = {
        "records": proof.count,
        "first": proof.first,
        "last": proof.last,
        "files": proof.files,
        "unnamed": proof.unnamed,
    }
    if not proof.count:
        lines = ["Nothing is recorded yet."]
    else:
        files = "1 file" if proof.files == 1 else f"{proof.files} files"
        numbers = f"number {proof.first} to {proof.last}"
        lines = [f"✔ The record is whole: {proof.count:,} records in {files}, {numbers}."]
    wiring.output.result(data, lines)
    if proof.unnamed:
        wiring.output.warn(
            f"the head file does not name the newest {proof.unnamed}: a command was killed before "
            "it could, or an older head file was put back"
        )


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "kind": fault.kind,
        "file": str(fault.file),
        "line": fault.line,
        "seq": fault.seq,
    }
