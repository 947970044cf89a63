"""What the environment and `config.toml` say: the only place that reads either.

No secret is ever read here; `config.toml` holds none, and one that does is refused.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

from guard.errors import UnsafeFile
from twg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

KeyPlaceName = Literal["keyring", "file"]

T = TypeVar("T", float, None)

_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "network": frozenset({"ca_bundle", "proxy", "no_proxy"}),
    "storage": frozenset({"key", "keyring_seconds"}),
    "login": frozenset({"wait_seconds"}),
    "policy": frozenset({"admin", "deny", "read_only", "longest_grant"}),
    "audit": frozenset({"on_failure", "file_megabytes", "file_days", "keep_days", "syslog"}),
    "log": frozenset({"file", "file_megabytes"}),
}


class Settings(NamedTuple):
    """All settings of one run.

    Attributes:
        config_dir: Where credentials and `config.toml` are.
        state_dir: Where the audit record, locks and the sandbox are.
        profile: ``TWG_PROFILE``, if set.
        output: ``TWG_OUTPUT``: ``text`` or ``json``, if set.
        browser: ``BROWSER``, as it stands; checked where it is used.
        ca_bundle: A private CA's certificates (PEM).
        proxy: The proxy for https targets.
        no_proxy: Hosts that go past it.
        key_place: Where a new store's sealing key goes; None to choose the best there is.
        keyring_seconds: How long the OS key ring may take to answer.
        wait_seconds: How long `twg login` waits for the person.
        policy: What agents may not do, as it stands; made sense of where it is used.
        audit_on_failure: Whether what cannot be recorded is stopped or done with a warning; None
            to stop what is vital.
        audit_file_megabytes: How large a file of the audit record gets.
        audit_file_days: How old it gets.
        audit_keep_days: How long the record is kept; None for ever.
        audit_syslog: Whether the system's log is told of the newest record.
        log_file: Whether the log is kept in a file.
        log_file_megabytes: How large that gets.
    """

    config_dir: Path
    state_dir: Path
    profile: str | None = None
    output: str | None = None
    browser: str | None = None
    ca_bundle: Path | None = None
    proxy: str | None = None
    no_proxy: tuple[str, ...] = ()
    key_place: KeyPlaceName | None = None
    keyring_seconds: float = 8.0
    wait_seconds: float = 300.0
    policy: Mapping[str, Any] = MappingProxyType({})
    audit_on_failure: Literal["stop", "warn"] | None = None
    audit_file_megabytes: float = 8.0
    audit_file_days: float = 30.0
    audit_keep_days: float | None = None
    audit_syslog: bool = True
    log_file: bool = False
    log_file_megabytes: float = 5.0

    @property
    def auth_conf(self) -> Path:
        """The personal credentials' file."""
        return self.config_dir / "auth.conf"

    @property
    def admin_conf(self) -> Path:
        """The file of organizations' Admin API keys."""
        return self.config_dir / "admin.conf"

    @property
    def policy_json(self) -> Path:
        """The file of what agents are granted."""
        return self.config_dir / "policy.json"

    @property
    def config_toml(self) -> Path:
        """The settings a person edits."""
        return self.config_dir / "config.toml"


def load(environ: Mapping[str, str], *, home: Path | None = None) -> Settings:
    """Read the environment, then `config.toml`, which wins where both speak.

    Raises:
        ConfigError: A value that cannot be used, an unknown setting, or a secret in the file.
    """
    home = home or Path(environ.get("HOME") or Path.home())
    config_dir, state_dir = directories(environ, home=home)
    table = _read_toml(config_dir / "config.toml")
    network, storage = table.get("network", {}), table.get("storage", {})
    audit, log = table.get("audit", {}), table.get("log", {})
    no_proxy = network.get("no_proxy", environ.get("NO_PROXY", environ.get("no_proxy", "")))
    return Settings(
        config_dir=config_dir,
        state_dir=state_dir,
        profile=_profile(environ),
        output=_output(environ),
        browser=environ.get("BROWSER") or None,
        ca_bundle=_path(network, "ca_bundle", home),
        proxy=network.get("proxy", environ.get("HTTPS_PROXY", environ.get("https_proxy"))) or None,
        no_proxy=_words(no_proxy),
        key_place=_choice(storage, "key", ("keyring", "file")),
        keyring_seconds=_seconds(storage, "keyring_seconds", 8.0),
        wait_seconds=_seconds(table.get("login", {}), "wait_seconds", 300.0),
        policy=table.get("policy", {}),
        audit_on_failure=_choice(audit, "on_failure", ("stop", "warn")),
        audit_file_megabytes=_number(audit, "file_megabytes", 8.0, most=60.0),
        audit_file_days=_number(audit, "file_days", 30.0),
        audit_keep_days=_number(audit, "keep_days", None),
        audit_syslog=_flag(audit, "syslog", default=True),
        log_file=_flag(log, "file", default=False),
        log_file_megabytes=_number(log, "file_megabytes", 5.0, most=1000.0),
    )


def directories(environ: Mapping[str, str], *, home: Path | None = None) -> tuple[Path, Path]:
    """Return where configuration and state are, by the environment alone."""
    home = home or Path(environ.get("HOME") or Path.home())
    return (
        _directory(environ, "TWG_CONFIG_DIR", _default_config(environ, home)),
        _directory(environ, "TWG_STATE_DIR", _default_state(environ, home)),
    )


def check_profile_name(name: str) -> str:
    """Return `name` if it can name a profile or a provider.

    Raises:
        ConfigError: It is empty, long, or holds more than letters, digits, dots, dashes and
            underscores.
    """
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if not (name and plain.isalnum() and name.isascii() and len(name) <= 64):  # noqa: PLR2004 - a name, not an essay
        raise ConfigError(
            "a profile or provider name has 1 to 64 letters, digits, dots, dashes or underscores",
            "Choose such a name, for example `work`.",
        )
    return name


def _profile(environ: Mapping[str, str]) -> str | None:
    name = environ.get("TWG_PROFILE")
    return check_profile_name(name) if name else None


def _output(environ: Mapping[str, str]) -> str | None:
    output = environ.get("TWG_OUTPUT") or None
    if output not in {None, "text", "json"}:
        raise ConfigError("TWG_OUTPUT is neither `text` nor `json`", "Set it to one, or unset it.")
    return output


def _default_config(environ: Mapping[str, str], home: Path) -> Path:
    if sys.platform == "win32":
        return Path(environ.get("APPDATA") or home / "AppData" / "Roaming") / "twg"
    return _xdg(environ, "XDG_CONFIG_HOME", home / ".config") / "twg"


def _default_state(environ: Mapping[str, str], home: Path) -> Path:
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "twg"
    return _xdg(environ, "XDG_STATE_HOME", home / ".local" / "state") / "twg"


def _xdg(environ: Mapping[str, str], name: str, default: Path) -> Path:
    # The XDG base directory specification: a path that is not absolute is to be ignored.
    value = environ.get(name, "")
    return Path(value) if value and Path(value).is_absolute() else default


def _directory(environ: Mapping[str, str], name: str, default: Path) -> Path:
    value = environ.get(name)
    if not value:
        return default
    # Made absolute without following links: a link is refused where it is used, not hidden here.
    return Path(os.path.abspath(Path(value).expanduser()))  # noqa: PTH100 - see above


def _read_toml(path: Path) -> dict[str, Any]:
    from guard import files  # noqa: PLC0415 - keeps `twg --version` light

    try:
        data = files.read_private(path, limit=1 << 20)
    except UnsafeFile as error:
        raise ConfigError(str(error).rstrip("."), error.remedy) from error
    if data is None:
        return {}
    import tomllib  # noqa: PLC0415 - most people have no such file

    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        # Where, but not what: the rest of its words may quote the file.
        place = re.search(r" \(at line \d+, column \d+\)", str(error))
        where = place[0] if place else ""
        raise ConfigError(f"{path} is not valid TOML{where}") from None
    _refuse_secrets(path, table)
    _refuse_unknown(path, table)
    return table


def _refuse_unknown(path: Path, table: dict[str, Any]) -> None:
    for section, values in table.items():
        if section not in _KNOWN or not isinstance(values, dict):
            known = ", ".join(f"[{name}]" for name in sorted(_KNOWN))
            raise ConfigError(f"{path} has an unknown section {section!r} (known: {known})")
        for name in values:
            if name not in _KNOWN[section]:
                known = ", ".join(sorted(_KNOWN[section]))
                raise ConfigError(
                    f"{path} has an unknown setting {name!r} in [{section}] (known: {known})"
                )


def _refuse_secrets(path: Path, value: Any, name: str = "") -> None:
    from guard.shapes import looks_like, names_secret  # noqa: PLC0415 - only for such a file

    if isinstance(value, dict):
        for key, inner in value.items():
            if shape := looks_like(key):
                raise _secret_in(path, f"a name in {name}" if name else "a name", shape.name)
            _refuse_secrets(path, inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for inner in value:
            _refuse_secrets(path, inner, name)
    elif isinstance(value, str) and (shape := looks_like(value)):
        raise _secret_in(path, name, shape.name)
    elif names_secret(name.rpartition(".")[2]):
        raise _secret_in(path, name, "one by its name")


def _secret_in(path: Path, name: str, looks_like: str) -> ConfigError:
    return ConfigError(
        f"{path} holds a secret in {name} (it looks like {looks_like}); it was not used",
        "Take it out of the file and revoke it, then run the command again; where twg needs a "
        "secret, it asks for it.",
    )


def _path(table: dict[str, Any], name: str, home: Path) -> Path | None:
    value = table.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ConfigError(f"the setting {name} is not a path")
    return home / value[2:] if value.startswith("~/") else Path(value)


def _words(value: Any) -> tuple[str, ...]:
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ConfigError("the setting no_proxy is not a list of host names")
    return tuple(words)


def _choice(table: dict[str, Any], name: str, allowed: tuple[str, ...]) -> Any:
    value = table.get(name)
    if value is not None and value not in allowed:
        raise ConfigError(f"the setting {name} is not one of {', '.join(allowed)}")
    return value


def _seconds(table: dict[str, Any], name: str, default: float) -> float:
    value = table.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 86400:  # noqa: PLR2004 - a day
        raise ConfigError(f"the setting {name} is not a number of seconds")
    return float(value)


def _number(table: dict[str, Any], name: str, default: T, *, most: float = 36_500.0) -> float | T:
    value = table.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise ConfigError(f"the setting {name} is not a number between 0 and {most:g}")
    return float(value)


def _flag(table: dict[str, Any], name: str, *, default: bool) -> bool:
    value = table.get(name, default)
    if not isinstance(value, bool):
        raise ConfigError(f"the setting {name} is neither true nor false")
    return value
