"""Makes the table of dependencies out of what they say of themselves: ``make dependencies``."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from email.utils import getaddresses
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

from tests.docs.markdown import ROOT

if TYPE_CHECKING:
    from importlib.metadata import Distribution, PackageMetadata

PROJECT = ROOT / "pyproject.toml"
PAGE = ROOT / "docs" / "dependencies.md"
BEGIN, END = "<!-- made by make dependencies -->\n", "<!-- end of what is made -->\n"
HEADINGS = ("Package", "For", "How well kept", "Import", "Needed", "Licence", "Size", "Kept by")

_ENTRY = re.compile(r'^  "(?P<name>[\w.-]+)[^"]*",?(?: +# (?P<words>.*))?$')
_COST = re.compile(r"\d+ ms|a second")
_LICENCES = {"Apache Software License": "Apache-2.0", "BSD License": "BSD", "MIT License": "MIT"}


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """What pyproject.toml says of a package that is depended on.

    Attributes:
        name: The package.
        extra: The extra that needs it; empty where all of it does.
        words: What the comment says: what for; how well kept; what its import costs.
    """

    name: str
    extra: str
    words: tuple[str, ...]

    @property
    def purpose(self) -> str:
        """What it is for."""
        return self.words[0]

    @property
    def cost(self) -> str:
        """What its import costs, and who pays that."""
        return "; ".join(word for word in self.words[1:] if _COST.search(word))

    @property
    def keeping(self) -> str:
        """How well it is kept."""
        return "; ".join(word for word in self.words[1:] if not _COST.search(word))


def declared() -> dict[str, str]:
    """Return every package that is depended on, and the extra that needs it, as pip reads it."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {
        re.split(r"[^\w.-]", line)[0]: extra for extra, lines in groups.items() for line in lines
    }


def dependencies() -> list[Dependency]:
    """Return the same with their comments, which stand behind them or, alone, before."""
    words: dict[str, str] = {}
    before = ""
    for line in PROJECT.read_text(encoding="utf-8").splitlines():
        if entry := _ENTRY.match(line):
            words.setdefault(entry["name"], entry["words"] or before)
        before = line.strip().removeprefix("# ") if line.strip().startswith("# ") else ""
    return [
        Dependency(name=name, extra=extra, words=tuple(words[name].split("; ")))
        for name, extra in declared().items()
    ]


def installed(name: str) -> Distribution | None:
    """Return what is installed of a package; None where it is not."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def licence(metadata: PackageMetadata) -> str:
    """Return the licence, by the field that states it best."""
    stated = _field(metadata, "License-Expression") or _field(metadata, "License")
    if stated and len(stated) < 40:
        return stated
    kinds = [each for each in metadata.get_all("Classifier") or [] if each.startswith("License")]
    return " or ".join(_LICENCES[kind.rpartition(" :: ")[2]] for kind in kinds)


def keepers(metadata: PackageMetadata) -> str:
    """Return who keeps a package, by name, and where."""
    fields = ("Maintainer-email", "Maintainer", "Author-email", "Author")
    stated = (value for field in fields if (value := _field(metadata, field)))
    names = next((found for value in stated if (found := _names(value))), "")
    return f"[{names}]({_source(metadata)})"


def _field(metadata: PackageMetadata, name: str) -> str:
    return next(iter(metadata.get_all(name) or ()), "")


def _names(value: str) -> str:
    if "@" not in value:
        return value.rstrip(".")
    return ", ".join(name for name, _ in getaddresses([value]) if name)


def _source(metadata: PackageMetadata) -> str:
    stated = (line.partition(", ")[2] for line in metadata.get_all("Project-URL") or [])
    pages = [*stated, _field(metadata, "Home-page")]
    found = (re.match(r"https://github\.com/(?!sponsors/)[\w.-]+/[\w.-]+", page) for page in pages)
    return next(match[0] for match in found if match)


def megabytes(package: Distribution) -> str:
    """Return how large its files are, but for what Python compiles of them."""
    sizes = [each.size or 0 for each in package.files or [] if each.suffix != ".pyc"]
    return f"{sum(sizes) / 1e6:.1f} MB"


def row(each: Dependency) -> list[str]:
    """Return what the table says of one; of what is not installed, the first columns."""
    told = [f"`{each.name}`", each.purpose, each.keeping, each.cost, _needed(each.extra)]
    package = installed(each.name)
    if package is None:
        return told
    return [*told, licence(package.metadata), megabytes(package), keepers(package.metadata)]


def _needed(extra: str) -> str:
    return f"extra `{extra}`" if extra else "always"


def table() -> str:
    """Return the table."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *map(row, dependencies())]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def page() -> str:
    """Return the page with its table made anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    """Write it."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
