"""`Secret`: a value that can be carried everywhere and seen nowhere but through `reveal`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never, Protocol, final

if TYPE_CHECKING:
    from collections.abc import Iterable


class Ledger(Protocol):
    """Who must hear of every secret: the scrubber learns it, the audit record notes it."""

    def entered(self, secret: Secret, value: str) -> None:
        """Hear that `value` is now held by `secret`."""

    def revealed(self, secret: Secret, purpose: str, host: str | None) -> None:
        """Hear that `secret` is about to be revealed for `purpose`; raising prevents it."""


@final
class Secret:
    """A secret value: no repr, str, format, pickle, copy, JSON, hash or comparison shows it.

    `reveal` is the only way out. It is called in a handful of places that a test pins.

    Args:
        value: The secret itself.
        kind: What it is, in a word or two joined by dashes, such as ``access-token``. Not secret.
        ledger: Hears of the secret now and of each `reveal` before it happens.
    """

    __slots__ = ("__kind", "__ledger", "__value")

    def __init__(self, value: str, kind: str = "secret", ledger: Ledger | None = None) -> None:
        self.__value = value
        self.__kind = kind
        self.__ledger = ledger
        if ledger is not None:
            ledger.entered(self, value)

    @property
    def kind(self) -> str:
        """What the secret is, such as ``access-token``."""
        return self.__kind

    def reveal(self, purpose: str, *, host: str | None = None) -> str:
        """Return the value, once the ledger has noted `purpose`.

        Args:
            purpose: What it is used for now, such as ``send to token endpoint``.
            host: The host that it goes to, if it does.
        """
        if self.__ledger is not None:
            self.__ledger.revealed(self, purpose, host)
        return self.__value

    def same_as(self, other: Secret) -> bool:
        """Tell in constant time whether both hold the same value, showing neither."""
        # A failure to encode would carry the whole value in the exception.
        mine = self.__value.encode("utf-8", "surrogatepass")
        import hmac  # noqa: PLC0415 - slow to load, and few are compared

        return hmac.compare_digest(mine, other.__value.encode("utf-8", "surrogatepass"))

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __repr__(self) -> str:
        return f"‹redacted:{self.__kind}›"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __dir__(self) -> Iterable[str]:
        return ("kind", "reveal", "same_as")

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def _refuse(self, *_: object) -> Never:
        raise TypeError("a Secret is not copied, pickled or serialised; pass it on as it is")

    __copy__ = _refuse
    __deepcopy__ = _refuse
    __reduce__ = _refuse
    __reduce_ex__ = _refuse
    __getstate__ = _refuse
    __iter__ = _refuse
    __len__ = _refuse
    __bytes__ = _refuse
