"""Which proxy the environment names for a service, and which hosts go past it."""

import pytest

from ravi_agent.errors import NotSentError
from ravi_agent.service.proxy import find_proxy

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
        ({"ALL_PROXY": PROXY}, PROXY),
        ({"all_proxy": "socks5://x:1", "HTTPS_PROXY": PROXY}, PROXY),
        ({"HTTP_PROXY": PROXY}, None),
        ({"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
        ({"HTTPS_PROXY": "proxy.example"}, "http://proxy.example:80"),
        ({"HTTPS_PROXY": "https://[fd00::1]"}, "https://[fd00::1]:443"),
        ({"HTTPS_PROXY": "HTTP://user:pass@proxy.example:3128/"}, PROXY),
    ],
)
def test_the_variable_of_the_scheme_goes_before_the_one_for_all(
    environ: dict[str, str], proxy: str | None
) -> None:
    found = find_proxy("https://ravi.id", environ)

    assert (found.url if found else None) == proxy
    assert "pass" not in repr(found)


def test_user_and_password_are_kept_apart() -> None:
    found = find_proxy("https://ravi.id", {"HTTPS_PROXY": "http://u%40x:p%3Aw@proxy.example"})

    assert found
    assert found.credentials == ("u@x", "p:w")


def test_the_header_of_a_cgi_request_is_no_proxy() -> None:
    forged = {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}

    assert find_proxy("http://ravi-local", forged) is None
    assert find_proxy("http://ravi-local", {**forged, "http_proxy": PROXY})


@pytest.mark.parametrize(
    ("service", "no_proxy"),
    [
        ("https://ravi.id", "*"),
        ("https://ravi.id", "ravi.id"),
        ("https://ravi.id", "RAVI.ID"),
        ("https://ravi.id", "localhost, .ravi.id"),
        ("https://api.ravi.id", ".ravi.id"),
        ("https://api.ravi.id", "ravi.id"),
        ("https://api.ravi.id", "*.ravi.id"),
        ("https://api.ravi.id", "a b ravi.id"),
        ("https://ravi.id", "ravi.id:443"),
        ("https://ravi.id:8443", "ravi.id:8443"),
        ("https://ravi.id", "https://ravi.id"),
        ("http://127.0.0.1:8787", "127.0.0.1"),
        ("http://127.0.0.1:8787", "127.0.0.1:8787"),
        ("http://127.0.0.1:8787", "127.0.0.0/8"),
        ("http://10.1.2.3", "10.0.0.0/8"),
        ("http://[::1]:8787", "[::1]"),
        ("http://[::1]:8787", "::1"),
        ("http://[::1]:8787", "[::1]:8787"),
        ("http://[::1]:8787", "0:0:0:0:0:0:0:1"),
        ("http://[::1]:8787", "::1/128"),
        ("http://[fd12::7]", "fd00::/8"),
        ("http://[fd12::7]", "[fd00::]/8"),
    ],
)
@pytest.mark.parametrize("proxy", [PROXY, "socks5://127.0.0.1:1080", "no url at all", "ftp://x"])
def test_what_no_proxy_covers_is_called_directly_whatever_the_proxy_is(
    service: str, no_proxy: str, proxy: str
) -> None:
    assert find_proxy(service, {"ALL_PROXY": proxy, "NO_PROXY": no_proxy}) is None


@pytest.mark.parametrize(
    ("service", "no_proxy"),
    [
        ("https://ravi.id", "avi.id"),
        ("https://ravi.id", "api.ravi.id"),
        ("https://ravi.id", "ravi.id:80"),
        ("https://ravi.id", "ravi.id.evil.example"),
        ("https://ravi.id", "[::1]"),
        ("https://ravi.id", "fd00::/8"),
        ("https://ravi.id", "[fd00::/8"),
        ("https://ravi.id", "]:["),
        ("https://ravi.id", "::/0, 0.0.0.0/0, 10.0.0.0/99, %, :, ., //"),
        ("http://127.0.0.1:8787", "127.0.0.1:80"),
        ("http://127.0.0.1:8787", "::1,[::1]:8787,10.0.0.0/8,1"),
        ("http://[fe80::7]", "fd00::/8"),
    ],
)
def test_an_entry_for_something_else_changes_nothing(service: str, no_proxy: str) -> None:
    found = find_proxy(service, {"ALL_PROXY": PROXY, "NO_PROXY": no_proxy})

    assert found
    assert found.url == PROXY


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("socks5://127.0.0.1:1080", "SOCKS"),
        ("socks5h://user:SECRET@127.0.0.1:1080", "SOCKS"),
        ("socks4a://127.0.0.1", "SOCKS"),
        ("ftp://proxy.example", "not a URL of an HTTP proxy"),
        ("http://", "not a URL of an HTTP proxy"),
        ("http://user:SECRET@", "not a URL of an HTTP proxy"),
        ("http://proxy.example:port", "ALL_PROXY"),
        ("http://proxy.example:99999", "ALL_PROXY"),
        ("http://[::1", "ALL_PROXY"),
        ("http://user:SECRET@pr\u00f6xy.example", "not a URL of an HTTP proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_final_and_its_password_is_not_shown(
    proxy: str, why: str
) -> None:
    with pytest.raises(NotSentError, match=why) as caught:
        find_proxy("https://ravi.id", {"ALL_PROXY": proxy})

    assert caught.value.is_final
    assert "SECRET" not in caught.value.lines("test")
    assert "ALL_PROXY" in str(caught.value.fix)
