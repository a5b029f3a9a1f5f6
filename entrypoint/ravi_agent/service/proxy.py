"""Which proxy stands between here and the service, as the environment says.

`http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` in small or capital letters, read as curl
reads them (https://everything.curl.dev/usingcurl/proxies/env.html). A variable that does not
concern this service is not looked at: what is wrong with it harms nobody here.
"""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from ravi_agent.errors import NotSentError

_PORTS = {"http": 80, "https": 443}


class Proxy:
    """A forward proxy: `url` without user and password, which are in `credentials`.

    variable: where it was named.
    """

    __slots__ = ("credentials", "url", "variable")

    def __init__(self, url: str, credentials: tuple[str, str] | None, variable: str) -> None:
        self.url = url
        self.credentials = credentials
        self.variable = variable

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"


def find_proxy(service_url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for this service, None where it is called directly.

    Raises NotSentError, final, for a proxy that cannot be used; never shows its password.
    """
    service = urlsplit(service_url)
    host = service.hostname or ""
    name, value = _given(environ, f"{service.scheme}_proxy", "all_proxy")
    if not value or _is_excepted(host, service.port or _PORTS[service.scheme], environ):
        return None
    url = value if "://" in value else f"http://{value}"
    shown = f"{name}={url.partition('://')[0]}://{url.partition('://')[2].rpartition('@')[2]}"
    fix = f"unset {name}, add {host} to NO_PROXY, or give {name}=http://HOST:PORT"
    try:
        parts = urlsplit(url)
        proxy_host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise NotSentError(f"cannot call {host}", f"{shown}: {exc}", fix, is_final=True) from exc
    if parts.scheme.startswith("socks"):
        why = f"{shown}: SOCKS proxies are not supported"
        raise NotSentError(f"cannot call {host}", why, fix, is_final=True)
    if parts.scheme not in _PORTS or not proxy_host or not url.isascii() or not url.isprintable():
        why = f"{shown} is not a URL of an HTTP proxy"
        raise NotSentError(f"cannot call {host}", why, fix, is_final=True)
    place = f"[{proxy_host}]" if ":" in proxy_host else proxy_host
    credentials = None
    if parts.username is not None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    return Proxy(f"{parts.scheme}://{place}:{port or _PORTS[parts.scheme]}", credentials, name)


def _given(environ: Mapping[str, str], *names: str) -> tuple[str, str]:
    """The first of the variables that is set, and its value; small letters go first."""
    for name in names:
        # A server that runs a program by CGI makes HTTP_PROXY of a client's header `Proxy:`.
        is_forged = name == "http_proxy" and "REQUEST_METHOD" in environ
        for spelling in (name,) if is_forged else (name, name.upper()):
            value = environ.get(spelling, "").strip()
            if value:
                return spelling, value
    return "", ""


def _is_excepted(host: str, port: int, environ: Mapping[str, str]) -> bool:
    _, value = _given(environ, "no_proxy")
    return any(_covers(entry, host, port) for entry in value.replace(",", " ").split())


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether one entry of NO_PROXY means this host; what cannot be read means none."""
    if entry == "*":
        return True
    name, given_port = _name_and_port(entry.rpartition("://")[2].lower())
    if given_port and given_port != str(port):
        return False
    try:
        address = ip_address(host)
    except ValueError:
        name = name.removeprefix("*").removeprefix(".").rstrip(".")
        host = host.lower().rstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return address in ip_network(name, strict=False)
    except ValueError:
        return False


def _name_and_port(entry: str) -> tuple[str, str]:
    """`host:port`, `[v6]:port`, `[v6]`, `[v6]/8` and `v6` as what they name, and a port or ""."""
    if entry.startswith("["):
        name, _, tail = entry[1:].partition("]")
        return (name + tail, "") if not tail.startswith(":") else (name, tail[1:])
    name, _, port = entry.partition(":")
    return (name, port) if ":" not in port else (entry, "")
