"""Which service roots a key may be sent to, and the one spelling of each."""

from ravi_agent import contract
from ravi_agent.errors import SettingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": "80", "https": "443"}


def read_service_url(environ: "Mapping[str, str]") -> str:
    """RAVI_API_URL or the default: the service that an account's credential belongs to.

    Raises SettingsError for a URL that no key may be sent to.
    """
    url = environ.get("RAVI_API_URL") or contract.DEFAULT_API_URL
    try:
        return check_service_url(url, environ.get("RAVI_ALLOW_HTTP") == "1")
    except ValueError as exc:
        # A URL with a user in it has a password there: show what stands behind it.
        shown = url.rpartition("@")[2]
        raise SettingsError(
            f"RAVI_API_URL={shown!r}",
            str(exc),
            f"unset RAVI_API_URL for {contract.DEFAULT_API_URL}",
        ) from None


def check_service_url(url: str, is_http_allowed: bool = False) -> str:
    """The service root in its one spelling; raises ValueError saying what is wrong with it.

    `http://` shows the key to everyone on the way, so it goes to loopback, to a private address
    or to a host without a dot (a container's name), unless `is_http_allowed`.
    """
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _PORTS:
        raise ValueError("a URL begins with https:// (or http://)")
    if not url.isprintable() or not url.isascii() or any(char in url for char in " @?#\\'\""):
        raise ValueError("a service root holds no user, query, fragment, quote or space")
    host, port = _host_and_port(rest.partition("/")[0])
    if not host:
        raise ValueError("the host is missing")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("the port is not a number up to 65535")
    if scheme == "http" and not is_http_allowed and not _is_near(host):
        raise ValueError("http:// would show the key on the way to a public host")
    return _spelled(url)


def is_same_service(recorded: object, api_url: str) -> bool:
    """Whether a recorded root, in any spelling, is the one that `check_service_url` gave."""
    return isinstance(recorded, str) and _spelled(recorded) == _spelled(api_url)


def _spelled(url: str) -> str:
    """Without what changes nothing: capital letters in the host, the scheme's own port, and
    `/api`, which people copy from the documents and every path begins with anyway.
    """
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    scheme, authority = scheme.lower(), authority.lower()
    if scheme in _PORTS:
        authority = authority.removesuffix(f":{_PORTS[scheme]}").removesuffix(":")
    path = slash + path
    while path.endswith(("/", "/api")):
        path = path.removesuffix("/").removesuffix("/api")
    return f"{scheme}{separator}{authority}{path}"


def _host_and_port(authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        host, bracket, tail = authority[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise ValueError("an IPv6 address stands in brackets, a colon and the port behind them")
        return host, tail.removeprefix(":")
    host, _, port = authority.partition(":")
    return host, port


def _is_near(host: str) -> bool:
    host = host.lower()
    if ":" in host:
        return _is_near_v6(host)
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761: always loopback
        return True
    parts = host.split(".")
    if len(parts) == 1:
        # A name, not a number: resolvers read 134744072 and 0x8080808 as the address 8.8.8.8.
        return host[0].isalpha()
    if len(parts) != 4 or not all(part.isdigit() and len(part) <= 3 for part in parts):
        return False
    numbers = [int(part) for part in parts]
    if max(numbers) > 255 or any(part != str(int(part)) for part in parts):
        return False  # 010 is octal to some resolvers
    first, second = numbers[:2]
    return (
        first in {10, 127}
        or (first == 172 and 16 <= second < 32)
        or (first == 192 and second == 168)
    )


def _is_near_v6(host: str) -> bool:
    """Loopback, unique local (RFC 4193) or link local."""
    import socket  # hardly any start has such an address

    try:
        address = socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        return False
    return (
        address == b"\0" * 15 + b"\1"
        or address[0] & 0xFE == 0xFC
        or (address[0] == 0xFE and address[1] & 0xC0 == 0x80)
    )
