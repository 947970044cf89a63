"""Whom TLS believes: the operating system's certificates, or the one CA that a setting names.

Neither `SSL_CERT_FILE` and `SSL_CERT_DIR` nor `SSLKEYLOGFILE` is obeyed: whoever can set a variable
could read along.
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import Final

from twg.errors import ConfigError

_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, FreeBSD
)
"""Where systems keep what they trust, should OpenSSL have been built without knowing."""


def context_of(ca_bundle: Path | None) -> ssl.SSLContext:
    """Return what verifies servers: by `ca_bundle` alone, or as the operating system does.

    Raises:
        ConfigError: The bundle cannot be read, or holds no certificate.
    """
    if ca_bundle is None:
        return _system_context()
    context = _empty_context()
    try:
        context.load_verify_locations(cafile=ca_bundle)
    except OSError as error:
        why = error.strerror or "it holds no certificate"
        raise ConfigError(f"[network] ca_bundle cannot be used: {why}") from error
    return context


def _system_context() -> ssl.SSLContext:
    if sys.platform in {"darwin", "win32"}:
        # Their trust is a service to be asked, not a file.
        import truststore  # noqa: PLC0415 - only for targets beyond this machine

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Not truststore: elsewhere it obeys SSL_CERT_FILE, and reads the file for each connection.
    context = _empty_context()
    built_in = ssl.get_default_verify_paths()
    directory = Path(built_in.openssl_capath)
    if directory.is_dir():
        context.load_verify_locations(capath=directory)
    bundles = [Path(place) for place in (built_in.openssl_cafile, *_BUNDLES)]
    bundle = next((path for path in bundles if path.is_file()), None)
    if bundle is not None:
        context.load_verify_locations(cafile=bundle)
    return context


def _empty_context() -> ssl.SSLContext:
    # Not ssl.create_default_context: that one obeys SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
