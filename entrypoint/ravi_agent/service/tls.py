"""Whom TLS trusts: SSL_CERT_FILE, else SSL_CERT_DIR, else the CAs of the package certifi."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

# Beside certifi's bundle in an image: the same CAs one by one, under the names that OpenSSL looks
# for. It reads the one that it needs; to read all of them costs more than all else of a start.
_HASHED = "hashed"
_BUNDLE = "cacert.pem"


def tls_context(environ: "Mapping[str, str]") -> "ssl.SSLContext":
    """A context that verifies. Raises OSError for a CA file that cannot be read."""
    import ssl

    ca_file, ca_path = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if ca_file:
        ca_path = None
    elif not ca_path:
        ca_file, ca_path = _certifi()
    context = ssl.create_default_context(cafile=ca_file or None, capath=ca_path or None)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _certifi() -> tuple[str | None, str | None]:
    """certifi's bundle, or the directory made of it."""
    from importlib.machinery import PathFinder

    # Importing it loads importlib.resources, for the case that it is in an archive.
    spec = PathFinder.find_spec("certifi")
    for folder in (spec and spec.submodule_search_locations) or ():
        if os.path.isdir(os.path.join(folder, _HASHED)):
            return None, os.path.join(folder, _HASHED)
        if os.path.isfile(os.path.join(folder, _BUNDLE)):
            return os.path.join(folder, _BUNDLE), None
    import certifi  # in an archive, or a distribution's, which names the system's bundle

    return certifi.where(), None
