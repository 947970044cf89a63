"""How fast logs are scrubbed: the library, the command, other redactors, and hostile texts."""

from __future__ import annotations

import base64
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from guard.scrub import Scrubber
from guard.shapes import SHAPES
from guard.stream import Redactor
from tests.bench.redactors import SLICES
from tests.rigs.surroundings import clean_env

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.programs import Peers

SIZE = 64 << 20
CHUNK = 1 << 20
SECRETS = 20
EVERY = 8000
"""So many lines apart are those with a secret in them: about a megabyte."""
REPEATS = 3
WORDS = (
    *("started", "stopped", "request", "response", "user", "session", "connection", "cache"),
    *("miss", "hit", "retry", "timeout", "query", "worker", "queue", "job", "pod", "node"),
    *("container", "image", "volume", "mount", "interface", "link", "memory", "update"),
)
HOSTILE = {
    "one letter": b"a",
    "backslashes": b"\\",
    "escapes of escapes": b"%25",
    "escapes": b"\\u0041",
    "the beginnings of tokens": b"eyJ",
    "whole tokens": b"eyJhbGciOiJub25lIn0.eyJleGFtcGxlIjoxfQ.ZXhhbXBsZS1leGFtcGxl ",
    "names of secrets": b"token=",
    "logins in addresses": b"://a:b@",
    "base64 of base64 of text": base64.b64encode(base64.b64encode(b"ordinary words, ")),
    "bytes in hexadecimal": b"41 42 43 44 ",
    "bytes in decimals": b"65 66 67 68 ",
    "octal escapes": b"\\101\\102",
    "percent-encoded words": b"%77%6f%72%64%20",
    "quoted-printable": b"=41=42=43",
    "colours": b"a\x1b[31mb\x1b[0m",
    "words in base64": base64.b64encode(b"ordinary words and more of them here") + b" ",
    "words in base32": base64.b32encode(b"ordinary words!") + b" ",
    "the beginnings of API tokens": b"ATATT ",
    "what only looks like API tokens": b"ATATTabcdefghijkl ",
}
"""Repeated without end."""
LONG_ENOUGH = b"ordinary words %41%42 QUJDREVGR0g=\n" * 9000
"""After this all patterns are made."""


def secrets(rng: random.Random) -> list[str]:
    """Make secrets as long as tokens are."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return ["".join(rng.choices(letters, k=rng.choice((40, 64, 190)))) for _ in range(SECRETS)]


def forms(value: str) -> list[str]:
    """Return a value as programs that look for exact forms know it."""
    data = value.encode()
    shifted = [base64.b64encode(bytes(offset) + data).decode().rstrip("=") for offset in range(3)]
    cores = [text[-(-offset * 8 // 6) :] for offset, text in enumerate(shifted)]
    url = [core.replace("+", "-").replace("/", "_") for core in cores]
    wide = data.decode().encode("utf-16-le").decode("latin-1")
    return list(
        dict.fromkeys(
            [value, data.hex(), data.hex().upper(), quote(value, safe=""), wide, *cores, *url]
        )
    )


def line(rng: random.Random) -> str:
    """Make a line as services, web servers and kernels write them."""
    when = f"2026-11-{rng.randrange(1, 29):02}T{rng.randrange(24):02}:{rng.randrange(60):02}:07Z"
    words = " ".join(rng.choices(WORDS, k=7))
    match rng.randrange(4):
        case 0:
            return f"{when} INFO [worker-{rng.randrange(32)}] {words} id={rng.getrandbits(64):016x}"
        case 1:
            path = f"/rest/api/3/issue/PROJ-{rng.randrange(9999)}?fields=summary%2Cstatus"
            return f'10.0.0.{rng.randrange(256)} - - [{when}] "GET {path} HTTP/1.1" 200 4711'
        case 2:
            trace = f"{rng.getrandbits(128):032x}"
            return json.dumps({"ts": when, "level": "info", "msg": words, "trace_id": trace})
        case _:
            return f"[{rng.random() * 1e5:12.6f}] usb {rng.randrange(9)}-1: new device {words}"


@contextmanager
def written() -> Iterator[Path]:
    """Yield a folder with the log, the secrets in it, and their exact forms."""
    rng = random.Random(7)  # noqa: S311 - no secrets, and the same each time
    values = secrets(rng)
    every = [form for value in values for form in forms(value)]
    looks = [shape.example for shape in SHAPES]
    lines = [line(rng) for _ in range(4 * EVERY)]
    with tempfile.TemporaryDirectory(prefix="twg-bench-") as directory:
        folder = Path(directory)
        (folder / "secrets.json").write_text(json.dumps(values))
        (folder / "forms.json").write_text(json.dumps(every))
        with (folder / "log").open("w", encoding="latin-1", errors="replace") as log:
            while log.tell() < SIZE:
                rng.shuffle(lines)
                for start in range(0, len(lines), EVERY):
                    log.write("\n".join(lines[start : start + EVERY]))
                    log.write(f"\nx {rng.choice(every)}\ny {rng.choice(looks)}\n")
        yield folder


def rows(peers: Peers) -> list[tuple[str, str, str]]:
    """Measure all on one log; each row has a name, the speed and what it looks for."""
    with written() as folder:
        exact = f"{len(json.loads((folder / 'forms.json').read_text()))} exact forms"
        first, later = library(folder)
        found = [
            ("twg's library, at first", f"{first:.0f}", "20 secrets however written, all looks"),
            ("twg's library, then", f"{later:.0f}", "the same"),
            ("`twg guard filter`, the whole process", f"{command(folder):.0f}", "all looks"),
        ]
        for peer, words in {
            "re": f"{exact}, 7 looks",
            "pyahocorasick": exact,
            "runner": f"{exact}, line by line",
            "detect-secrets": "its own looks",
        }.items():
            speed = peer_speed(peers, peer, folder)
            found.append((NAMES[peer], "not measured" if speed is None else f"{speed:.2g}", words))
        found.append(("`sed`", f"{sed(folder):.0f}", "one literal"))
    worst, text = min((hostile(text), name) for name, text in HOSTILE.items())
    found.append(("twg's library, the worst hostile text", f"{worst:.2g}", f"{text}, repeated"))
    return found


NAMES = {
    "re": "`re`, one alternation",
    "pyahocorasick": "pyahocorasick",
    "runner": "a CI runner's loop, value by encoding",
    "detect-secrets": "detect-secrets",
}


def knowing(folder: Path) -> Scrubber:
    """Return a scrubber that knows the secrets in the log."""
    scrubber = Scrubber()
    for value in json.loads((folder / "secrets.json").read_text()):
        scrubber.learn(value, "access-token")
    return scrubber


def library(folder: Path) -> tuple[float, float]:
    """Return megabytes a second of the first pass, and the median of later ones."""
    scrubber = knowing(folder)
    data = (folder / "log").read_bytes()
    speeds = [_speed(scrubber, data) for _ in range(1 + REPEATS)]
    return speeds[0], statistics.median(speeds[1:])


def hostile(text: bytes, size: int = 1 << 19) -> float:
    """Return megabytes a second for a text that is made to cost; 20 secrets are known."""
    scrubber = Scrubber()
    for value in secrets(random.Random(7)):  # noqa: S311 - as above
        scrubber.learn(value, "access-token")
    _speed(scrubber, LONG_ENOUGH)
    return _speed(scrubber, text * (size // len(text)))


def _speed(scrubber: Scrubber, data: bytes) -> float:
    redactor = Redactor(scrubber)
    began = time.process_time()
    for start in range(0, len(data), CHUNK):
        redactor.feed(data[start : start + CHUNK])
    redactor.finish()
    return len(data) / 1e6 / (time.process_time() - began)


def command(folder: Path) -> float:
    """Return megabytes a second of `twg guard filter`, fed by a pipe."""
    twg = str(Path(sys.executable).with_name("twg"))
    return _piped([twg, "guard", "filter"], folder)


def sed(folder: Path) -> float:
    """Return megabytes a second of `sed` with one literal."""
    value = json.loads((folder / "secrets.json").read_text())[0]
    return _piped([shutil.which("sed") or "sed", f"s/{value}/***/g"], folder)


def _piped(argv: list[str], folder: Path) -> float:
    speeds = []
    env = clean_env(folder)
    for _ in range(REPEATS):
        began = time.perf_counter()
        with subprocess.Popen(["cat", str(folder / "log")], stdout=subprocess.PIPE) as cat:
            subprocess.run(
                argv,
                stdin=cat.stdout,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=env,
                check=True,
            )
        speeds.append((folder / "log").stat().st_size / 1e6 / (time.perf_counter() - began))
    return statistics.median(speeds)


def peer_speed(peers: Peers, peer: str, folder: Path) -> float | None:
    """Return megabytes a second of a peer; None if it cannot be had."""
    assert peer in SLICES
    found = peers.redaction(peer, folder)
    return None if found is None else found["mb"] / found["seconds"]
