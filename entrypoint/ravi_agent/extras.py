"""Parts of the package whose requirements `pip` installs only when asked for: its extras."""

from importlib.util import find_spec

from ravi_agent.errors import SettingsError

# What each extra brings that is imported; pyproject.toml has the versions.
LAUNCH = ("click", "docker", "psutil", "requests", "rich")
LOCAL = ("aiosmtpd", "cryptography", "httpx", "starlette", "uvicorn", "wsproto")


def require(what: str, extra: str, packages: tuple[str, ...]) -> None:
    """Raises SettingsError, with the extra to install, where one of its packages is missing."""
    for package in packages:
        if find_spec(package) is None:
            raise missing(what, extra, package)


def missing(what: str, extra: str, package: str) -> SettingsError:
    """The error of something that needs an extra which is not installed."""
    return SettingsError(
        what,
        f"the Python package {package!r} is not installed",
        f"pip install 'ravi-agent-base[{extra}]'",
    )
