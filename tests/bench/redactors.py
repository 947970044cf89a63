"""What is measured of other redactors, each in a process of its own, in the peers' environment.

``tests.bench.redactors PEER FOLDER``: the folder holds the log and the forms of the secrets.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import meter

if TYPE_CHECKING:
    from collections.abc import Callable

SLICES = {"re": 4, "pyahocorasick": 16, "runner": 2, "detect-secrets": 0.125}
"""How many MiB of the log each is given: seconds' worth."""

LOOKS = (
    rb"ATATT3[A-Za-z0-9_=-]{20,}",
    rb"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}",
    rb"gh[pousr]_[A-Za-z0-9]{24,}",
    rb"AKIA[A-Z2-7]{16}",
    rb"://[^\s/:@]{0,64}:[^\s/@]{1,64}@",
    rb"[Bb]earer [A-Za-z0-9._~+/-]{16,}",
    rb"(?i:password|token|secret)[=:] ?[^\s\"']{6,}",
)


def of_re(forms: list[str]) -> Callable[[bytes], object]:
    """One alternation for `re`: every form and some looks."""
    words = [re.escape(form.encode()) for form in sorted(forms, key=len, reverse=True)]
    pattern = re.compile(b"|".join([*words, *LOOKS]))
    return lambda data: pattern.sub(b"***", data)


def of_pyahocorasick(forms: list[str]) -> Callable[[bytes], object]:
    """One automaton of every form; it knows no looks."""
    import ahocorasick  # noqa: PLC0415 - in the peers' environment alone

    automaton = ahocorasick.Automaton()
    for form in forms:
        automaton.add_word(form, form)
    automaton.make_automaton()
    return lambda data: sum(1 for _ in automaton.iter(data.decode("latin-1")))


def of_runner(forms: list[str]) -> Callable[[bytes], object]:
    """Each line is searched for each value in each encoding, as a CI runner does."""

    def redact(data: bytes) -> int:
        hidden = 0
        for line in data.decode("latin-1").splitlines():
            for form in forms:
                at = line.find(form)
                while at >= 0:
                    hidden += 1
                    at = line.find(form, at + 1)
        return hidden

    return redact


def of_detect_secrets(_forms: list[str]) -> Callable[[bytes], object]:
    """Each line goes through its default plugins; it knows looks only."""
    from detect_secrets.core import scan  # noqa: PLC0415 - in the peers' environment alone
    from detect_secrets.settings import default_settings  # noqa: PLC0415 - likewise

    def redact(data: bytes) -> int:
        with default_settings():
            lines = data.decode("latin-1").splitlines()
            return sum(1 for line in lines for _ in scan.scan_line(line))

    return redact


PEERS = {
    "re": of_re,
    "pyahocorasick": of_pyahocorasick,
    "runner": of_runner,
    "detect-secrets": of_detect_secrets,
}


def main(peer: str, folder: str) -> None:
    """Measure one."""
    forms = json.loads((Path(folder) / "forms.json").read_text())
    size = int(SLICES[peer] * (1 << 20))
    with (Path(folder) / "log").open("rb") as log:
        data = log.read(size)
    redact = PEERS[peer](forms)
    began = time.process_time()
    redact(data)
    meter.tell(seconds=time.process_time() - began, mb=len(data) / 1e6)


if __name__ == "__main__":
    main(*sys.argv[1:])
