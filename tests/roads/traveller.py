"""A person with `twg` in a real terminal, and a search for what must not have been left."""

from __future__ import annotations

import base64
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.cli import shapes
from tests.rigs.surroundings import clean_env, fake_browser
from tests.rigs.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    from tests.rigs.surroundings import FakeBrowser


@dataclass
class Traveller:
    """A person: their home, their browser, and all they have seen.

    Attributes:
        root: Home, configuration and state stand below it.
        browser: What `twg` opens for them; the test then goes there in a real one.
        more: Further variables of their environment.
        seen: All that any terminal of theirs has put out.
    """

    root: Path
    browser: FakeBrowser
    more: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def env(self) -> dict[str, str]:
        return clean_env(self.root, BROWSER=str(self.browser.path)) | self.more

    @asynccontextmanager
    async def types(self, *words: str, columns: int = 100) -> AsyncIterator[Terminal]:
        """Run `twg` with these words in a terminal of its own."""
        async with Terminal.start(["twg", *words], env=self.env, columns=columns) as terminal:
            try:
                yield terminal
            finally:
                self.seen += [terminal.transcript(), terminal.raw.decode("utf-8", "replace")]

    async def gets(self, *words: str, status: int = 0) -> str:
        """Run `twg` to its end and return all that the terminal showed."""
        # Wide: so that no sentence is folded in the middle of a word.
        async with self.types(*words, columns=400) as terminal:
            found = await terminal.exit_status()
            shown = terminal.transcript()
        assert found == status, shown
        return shown

    async def asks(self, *words: str, status: int = 0) -> Any:
        """Run `twg … -o json` to its end and return the document, without its envelope."""
        async with self.types(*words, "-o", "json", columns=400) as terminal:
            found = await terminal.exit_status()
            shown = terminal.transcript()
        assert found == status, shown
        shapes.check(words, found, shown[shown.index("{") :])
        document = json.loads(shown[shown.index("{") :])
        assert document["ok"] is (status == 0)
        return document["data"] if status == 0 else document["error"]

    def audit_events(self) -> list[str]:
        """Return the events of the audit record, in order."""
        lines = (self.state / "audit.jsonl").read_text().splitlines()
        return [json.loads(line)["event"] for line in lines]

    def traces_of(self, secrets: Iterable[str]) -> list[str]:
        """Name every file and screen that holds one of `secrets`, plain, hexadecimal or base64."""
        wanted = [form for secret in secrets for form in forms(secret)]
        assert wanted, "there is nothing to search for"
        places = {str(path): path.read_bytes() for path in self._files()}
        places |= {f"screen {n}": text.encode() for n, text in enumerate(self.seen)}
        assert len(places) > 1, "there is nowhere to search"
        return [name for name, data in places.items() if any(form in data for form in wanted)]

    def _files(self) -> Iterator[Path]:
        for folder in (self.config, self.state, self.root / "home"):
            yield from (path for path in folder.rglob("*") if path.is_file())


def traveller(root: Path, **more: str) -> Traveller:
    """Return a person who has nothing yet."""
    return Traveller(root, fake_browser(root), more)


def forms(secret: str) -> Iterator[bytes]:
    """Yield how a secret may be written: plain, hexadecimal, base64 at any offset."""
    data = secret.encode()
    yield data
    yield data.hex().encode()
    yield data.hex().upper().encode()
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + data)
        # What depends on the secret alone: the characters at either end share bits with others.
        core = encoded[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")


def address_in(terminal: Terminal, path: str) -> str:
    """Return the address with `path` that the terminal was sent, however it folds it."""
    found = re.search(rf"http://127\.0\.0\.1:\d+{path}\?[^\s\x1b]+", terminal.raw.decode())
    assert found, terminal.transcript()
    return found[0]
