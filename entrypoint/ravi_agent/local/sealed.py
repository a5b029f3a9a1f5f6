"""What is stored and must not be readable in the database file: sealed with a key beside it."""

import fcntl
import hashlib
import hmac
import json
import os
import secrets

from cryptography.fernet import Fernet, InvalidToken

from ravi_agent.errors import SettingsError


class Seal:
    """Encrypts with a key of its own file, `<database>.key`, mode 0600.

    Whoever copies the database alone gets no password, secret or signing secret with it. Raises
    SettingsError where the key file cannot be used.
    """

    def __init__(self, database: str) -> None:
        is_kept = database != ":memory:"
        key = _read_or_make(f"{database}.key") if is_kept else Fernet.generate_key()
        try:
            self._fernet = Fernet(key)
        except ValueError as exc:
            raise SettingsError(
                f"{database}.key", "this file does not hold a key", _fix(database)
            ) from exc
        self._lock = lock(database) if is_kept else None
        self._mac_key = hashlib.sha256(b"ravi-local signatures" + key).digest()
        self._database = database

    def unlock(self) -> None:
        """Let another server have the database."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def close(self, values: dict[str, str]) -> bytes:
        """Values, sealed."""
        return self._fernet.encrypt(json.dumps(values).encode())

    def open(self, sealed: bytes) -> dict[str, str]:
        """What `close` sealed; raises SettingsError where another key did."""
        try:
            values = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as exc:
            raise SettingsError(
                f"{self._database}.key", "not the key of this database", _fix(self._database)
            ) from exc
        assert isinstance(values, dict)
        return values

    def sign(self, text: str) -> str:
        """A signature that only this server can make."""
        return hmac.new(self._mac_key, text.encode(), hashlib.sha256).hexdigest()

    def has_signed(self, text: str, signature: str) -> bool:
        return hmac.compare_digest(self.sign(text).encode(), signature.encode())


def lock(database: str) -> int:
    """Have a database for oneself until the descriptor is closed; SettingsError if it is in use.

    By its key's file: closing a second descriptor of the database itself would end SQLite's locks.
    """
    descriptor = os.open(f"{database}.key", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise SettingsError(
            f"--database {database}",
            "another ravi-local is using it",
            "end that one, or give another --database",
        ) from exc
    return descriptor


def digest(key: str) -> str:
    """What is kept of a key: its hash. A key is random and long, so it needs no salt."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key(prefix: str) -> str:
    return f"{prefix}{secrets.token_urlsafe(24)}"


def _read_or_make(path: str) -> bytes:
    try:
        # Made whole or not at all: two servers on one new database must not use two keys.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        pass
    except OSError as exc:
        raise SettingsError(path, str(exc.strerror), f"make {path} writable") from exc
    else:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
    try:
        with open(path, "rb") as file:
            return file.read(1024).strip()
    except OSError as exc:
        raise SettingsError(path, str(exc.strerror), f"make {path} readable") from exc


def _fix(database: str) -> str:
    return f"put back {database}.key, or: ravi-local reset --database {database}"
