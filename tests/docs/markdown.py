"""Reads the repository's documents: their headings, links, tables and code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """A document in Markdown.

    Attributes:
        path: Where it is.
        text: All of it.
    """

    path: Path
    text: str

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return str(self.path.relative_to(ROOT))

    @property
    def prose(self) -> str:
        """It without its blocks of code."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str = "") -> list[str]:
        """Return its blocks of code in that language."""
        return [code for found, code in _FENCE.findall(self.text) if found == language]

    @property
    def code(self) -> list[str]:
        """The pieces of code within its prose."""
        return code_in(self.text)

    @property
    def links(self) -> list[str]:
        """The targets of its links and pictures."""
        return links_in(self.text)

    @property
    def anchors(self) -> set[str]:
        """What a link can point to in it, as GitHub makes it of headings."""
        return {_anchor(heading) for heading in _HEADING.findall(self.prose)}

    def section(self, heading: str) -> str:
        """Return the text below a heading, up to the next one of any level."""
        found = re.search(
            rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", self.text, re.MULTILINE | re.DOTALL
        )
        assert found, f"{self.name} has no section {heading!r}"
        return found[1]

    def table(self, first_column: str) -> list[list[str]]:
        """Return the rows of the table whose first column has that heading."""
        lines = iter(self.text.splitlines())
        assert any(line.startswith(f"| {first_column} |") for line in lines), first_column
        next(lines)
        rows = []
        for line in lines:
            if not line.startswith("|"):
                break
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        return rows


def read(name: str) -> Document:
    """Return the document of that path."""
    return Document(ROOT / name, (ROOT / name).read_text(encoding="utf-8"))


def documents() -> list[Document]:
    """Return all documents, those that the changelog is made of included."""
    names = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    for directory in ("docs", "changelog"):
        names += [str(path.relative_to(ROOT)) for path in sorted((ROOT / directory).glob("*.md"))]
    return [read(name) for name in names]


def code_in(text: str) -> list[str]:
    """Return the pieces of code within prose; one that runs over two lines, in one."""
    return [" ".join(code.split()) for code in _CODE.findall(_FENCE.sub("", text))]


def links_in(text: str) -> list[str]:
    """Return the targets of the links and pictures within prose."""
    return _LINK.findall(_FENCE.sub("", text))


def _anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")
