"""Which service roots a key may be sent to, and how a root is spelt."""

import pytest

from ravi_agent.errors import SettingsError
from ravi_agent.service_url import check_service_url, is_same_service, read_service_url


@pytest.mark.parametrize(
    "url",
    [
        "https://ravi.id",
        "https://8.8.8.8",
        "https://134744072",
        "https://[2001:db8::1]:8443",
        "https://ravi.example/team/ravi",
        "https://ravi.example:65535",
    ],
)
def test_https_goes_to_any_host(url: str) -> None:
    assert check_service_url(url) == url


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "ravi.localhost",
        "127.0.0.1",
        "127.255.255.254",
        "[::1]",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "[fd00::1]",
        "[fc00::1]",
        "[FD12:3456::1]",
        "[fe80::1]",
        "ravi-local",
        "ravi_local",
        "r2",
    ],
)
@pytest.mark.parametrize("port", ["", ":8787"], ids=["no port", "port"])
def test_http_goes_to_loopback_private_addresses_and_bare_names(host: str, port: str) -> None:
    assert check_service_url(f"http://{host}{port}") == f"http://{host}{port}".lower()


PUBLIC_HOSTS = [
    "ravi.id",
    "8.8.8.8",
    "134744072",
    "0x8080808",
    "0X8080808",
    "010.0.0.1",
    "10.0.0.010",
    "127.1",
    "10.1",
    "0",
    "0.0.0.0",
    "9.255.255.255",
    "11.0.0.1",
    "126.0.0.1",
    "128.0.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.0.1",
    "192.169.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "10.0.0.1.example.com",
    "10.0.0.1.",
    "127.0.0.1.nip.io",
    "localhost.example.com",
    "localhost.",
    "notlocalhost.com",
    "10.0.0.0x1",
    "10.0.0",
    "10.0.0.0.1",
    "[2001:4860:4860::8888]",
    "[::ffff:8.8.8.8]",
    "[::]",
    "[fe00::1]",
    "[fb00::1]",
    "-x",
    "1and1",
]


@pytest.mark.parametrize("host", PUBLIC_HOSTS)
@pytest.mark.parametrize("port", ["", ":8787"], ids=["no port", "port"])
def test_http_does_not_go_to_any_other_host(host: str, port: str) -> None:
    with pytest.raises(ValueError, match="http:// would show the key"):
        check_service_url(f"http://{host}{port}")


@pytest.mark.parametrize("host", PUBLIC_HOSTS)
def test_http_goes_to_any_host_where_that_is_allowed(host: str) -> None:
    assert check_service_url(f"http://{host}", is_http_allowed=True) == f"http://{host}".lower()


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("[fc::1]", id="00fc, not fc00"),
        pytest.param("[fd1::1]", id="0fd1, not fd10"),
        pytest.param("10.999.0.1", id="999 is no byte"),
    ],
)
def test_what_only_looks_like_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="http:// would show the key"):
        check_service_url(f"http://{host}")


@pytest.mark.parametrize("is_http_allowed", [False, True], ids=["strict", "http allowed"])
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("ravi.id", id="no scheme"),
        pytest.param("//ravi.id", id="no scheme but slashes"),
        pytest.param("ftp://ravi.id", id="ftp"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("javascript://ravi.id", id="javascript"),
        pytest.param("https:ravi.id", id="no slashes"),
        pytest.param("https://", id="no host"),
        pytest.param("https:///api", id="path without host"),
        pytest.param("http://:8787", id="port without host"),
        pytest.param("https://user@ravi.id", id="user"),
        pytest.param("http://localhost@ravi.id", id="user like a host"),
        pytest.param("https://user:secret@ravi.id", id="password"),
        pytest.param("http://ravi.id\\@localhost", id="backslash"),
        pytest.param("https://ravi.id?x=1", id="query"),
        pytest.param("http://ravi.id#.localhost", id="fragment"),
        pytest.param("https://ravi.id/ x", id="space"),
        pytest.param("https://ravi.id/\n", id="line feed"),
        pytest.param("https://ravi.id/\t", id="tab"),
        pytest.param("https://ravi.id/'", id="single quote"),
        pytest.param('https://ravi.id/"', id="double quote"),
        pytest.param("https://räví.id", id="not ASCII"),
        pytest.param("http://loc\u200balhost", id="zero-width space"),
        pytest.param("http://localhost:0", id="port 0"),
        pytest.param("http://localhost:65536", id="port 65536"),
        pytest.param("http://localhost:99999999999", id="port of a number too big"),
        pytest.param("http://localhost:-1", id="negative port"),
        pytest.param("http://localhost:http", id="port by name"),
        pytest.param("http://localhost:80:90", id="two ports"),
        pytest.param("http://::1:8787", id="IPv6 without brackets"),
        pytest.param("http://[]", id="empty brackets"),
        pytest.param("https://[ravi.id]", id="name in brackets"),
        pytest.param("https://[10.0.0.1]", id="IPv4 in brackets"),
        pytest.param("https://[v1.ravi]", id="address of the future"),
    ],
)
def test_what_is_no_service_root_is_refused_whatever_is_allowed(
    url: str, is_http_allowed: bool
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_service_url(url, is_http_allowed)


@pytest.mark.parametrize("url", ["http://[::1", "http://[::1]8787"])
def test_an_address_needs_its_closing_bracket_and_a_colon_after_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_service_url(url)


def test_a_link_local_address_may_name_its_link() -> None:
    assert check_service_url("http://[fe80::1%eth0]:8787") == "http://[fe80::1%eth0]:8787"


@pytest.mark.parametrize(
    "url",
    [
        "https://user:SECRET@ravi.id",
        "https://ravi.id/?token=SECRET",
        "https://ravi.id/#SECRET",
        "https://ravi.id/?a#SECRET",
        "https://SECRET@ravi.id/?key=SECRET",
    ],
)
def test_what_may_be_a_password_in_a_url_is_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_service_url({"RAVI_API_URL": url})

    assert "ravi.id" in caught.value.what
    assert "SECRET" not in f"{caught.value} {caught.value.fix}"


def test_the_remedy_for_plain_http_is_what_makes_it_work() -> None:
    variables = {"RAVI_API_URL": "http://host.docker.internal:8787"}
    with pytest.raises(SettingsError) as caught:
        read_service_url(variables)

    assert "RAVI_ALLOW_HTTP=1" in str(caught.value.fix)
    assert read_service_url({**variables, "RAVI_ALLOW_HTTP": "1"}) == variables["RAVI_API_URL"]


SPELLINGS = {
    "https://ravi.id": [
        "",
        "/",
        "///",
        "/api",
        "/api/",
        "//api//",
        "/api/api/",
        ":443",
        ":443/api/",
    ],
    "https://ravi.app": ["", "/api/"],
    "http://api": ["", "/", "/api", "/api/"],
    "https://api.ravi.id": ["", "/", "/api", "/api/"],
    "https://api.ravi.app": ["", "/", "/api", "/api/"],
    "http://localhost:8787/ravi": ["", "/", "/api", "/api/"],
    "http://[::1]": ["", ":80", "/api/", ":80/api"],
    "https://ravi.example/apiary": ["", "/", "/api/"],
}


@pytest.mark.parametrize(
    ("root", "url"), [(root, root + tail) for root, tails in SPELLINGS.items() for tail in tails]
)
def test_a_root_has_one_spelling(root: str, url: str) -> None:
    assert check_service_url(url) == root
    assert check_service_url(root) == root
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    shouted = f"{scheme.upper()}://{host.upper()}{slash}{path}"
    assert check_service_url(shouted) == root
    assert is_same_service(shouted, root)


@pytest.mark.parametrize(
    "recorded",
    [
        "https://api.ravi.id",
        "https://ravi.app",
        "http://ravi.id",
        "https://ravi.id:8443",
        "https://ravi.id:80",
        "https://ravi.id/ravi",
        "https://ravi.id/API",
        "https://ravi.idapi",
        "ravi.id",
        "",
        "\0",
        None,
        7,
        ["https://ravi.id"],
    ],
)
def test_another_host_scheme_port_or_path_is_another_service(recorded: object) -> None:
    assert not is_same_service(recorded, "https://ravi.id")
