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
        fix = f"unset RAVI_API_URL for {contract.DEFAULT_API_URL}"
        if _is_only_plain(url):
            fix = "write https://, or set RAVI_ALLOW_HTTP=1 where nobody reads along on the way"
        raise SettingsError(f"RAVI_API_URL={_shown(url)!r}", str(exc), fix) from None


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
    if port and not (port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise ValueError("the port is not a number up to 65535")
    if rest.startswith("[") and _v6_address(host) is None:
        raise ValueError("what stands in brackets is not an IPv6 address")
    if scheme == "http" and not is_http_allowed and not _is_near(host):
        raise ValueError("http:// would show the key on the way to a public host")
    return _spelled(url)


def is_same_service(recorded: object, api_url: str) -> bool:
    """Whether a recorded root, in any spelling, is the one that `check_service_url` gave."""
    return isinstance(recorded, str) and _spelled(recorded) == _spelled(api_url)


def _is_only_plain(url: str) -> bool:
    """Whether nothing is wrong with it but http:// to a public host."""
    try:
        check_service_url(url, is_http_allowed=True)
    except ValueError:
        return False
    return True


def _shown(url: str) -> str:
    """Without what may be a password: a user before the host, a query or fragment behind it."""
    shown = url.rpartition("@")[2]
    end = min((shown.index(mark) + 1 for mark in "?#" if mark in shown), default=len(shown))
    return shown[:end] + ("…" if end < len(shown) else "")


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
    address = _v6_address(host)
    return address is not None and (
        address == b"\0" * 15 + b"\1"
        or address[0] & 0xFE == 0xFC
        or (address[0] == 0xFE and address[1] & 0xC0 == 0x80)
    )


def _v6_address(host: str) -> bytes | None:
    import socket  # hardly any start has such an address

    try:  # a zone (RFC 4007) says on which link, and nothing of what the address is
        return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError:
        return None
