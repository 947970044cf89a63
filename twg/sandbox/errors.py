"""What the sandbox raises to the command that drives it.

SandboxError
├── SandboxExtraMissing    the packages of the extra `sandbox` are not installed
├── SandboxFaultUnknown    `--fault` names no known fault
├── SandboxOptionInvalid   an option's value makes no sense
├── SandboxRunning         one runs already, with other options
├── SandboxPortTaken       another program listens on the port
└── SandboxFailed          the server did not start, or did not stop
"""

from __future__ import annotations


class SandboxError(Exception):
    """Root of all that the sandbox raises.

    Args:
        message: What happened and why, for a person.
        remedy: What to do now.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class SandboxExtraMissing(SandboxError):
    """The packages of the extra `sandbox` are not installed."""

    def __init__(self, package: str) -> None:
        self.package = package
        super().__init__(
            f"the sandbox needs {package}, which is not installed",
            "Run `pip install 'twg-cli[sandbox]'`.",
        )


class SandboxFaultUnknown(SandboxError):
    """`--fault` names no known fault, place or count."""


class SandboxOptionInvalid(SandboxError):
    """An option's value makes no sense."""


class SandboxRunning(SandboxError):
    """A sandbox runs already, with other options."""

    def __init__(self, url: str, differing: list[str]) -> None:
        self.url = url
        super().__init__(
            f"a sandbox with another {' and '.join(differing)} runs already at {url}",
            "Run `twg sandbox stop`, then start it again with these options.",
        )


class SandboxPortTaken(SandboxError):
    """Another program listens on the port."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"port {port} on 127.0.0.1 is taken by another program",
            "Choose another --port, or leave it out.",
        )


class SandboxFailed(SandboxError):
    """The server did not start, or did not stop."""
