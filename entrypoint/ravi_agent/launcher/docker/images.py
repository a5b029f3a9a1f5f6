"""The images of a run: there, of the right kind, and pulled with their progress shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import docker
import docker.errors
from docker.credentials.errors import StoreError

from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.docker.calls import SDK_ERRORS, engine_words

Say = Callable[[str], None]


class Images:
    """Looks at images, and pulls them as `policy` says: `always`, `missing` or `never`."""

    def __init__(self, client: docker.DockerClient, *, platform: str | None, say: Say) -> None:
        self._client = client
        self._platform = platform
        self._say = say

    def make_ready(self, names: Sequence[str], policy: str) -> None:
        """Make sure every image is here and starts our entrypoint.

        Any other program would find the management key on its standard input. Raises UsageError
        for an image of another kind, EngineError for one that cannot be had.
        """
        for name in names:
            config = None if policy == "always" else self.config(name)
            if config is None and policy == "never":
                raise EngineError(
                    f"image {name!r} is not here", "--pull never", "--pull missing, or build it"
                )
            if config is None:
                self._pull(name)
                config = self.config(name) or {}
            self.check(name, config)

    def look_at(self, names: Sequence[str]) -> None:
        """Say what is not here and would be pulled; raises UsageError as `make_ready` does."""
        for name in names:
            config = self.config(name)
            if config is None:
                self._say(f"image {name!r} is not here: it would be pulled")
            else:
                self.check(name, config)

    def config(self, name: str) -> Mapping[str, Any] | None:
        """What the image says of itself, None where it is not here."""
        try:
            found = self._client.images.get(name)
        except docker.errors.NotFound:
            return None
        except SDK_ERRORS as exc:
            raise EngineError(f"image {name!r}", engine_words(exc)) from exc
        config: Mapping[str, Any] = found.attrs["Config"]
        return config

    def check(self, name: str, config: Mapping[str, Any]) -> None:
        """Raises UsageError for an image that does not start our entrypoint."""
        entrypoint = config.get("Entrypoint") or [""]
        if entrypoint[0].rpartition("/")[2] != "ravi-entrypoint":
            raise UsageError(
                f"image {name!r}",
                f"its entrypoint is {entrypoint[0] or 'none'!r}, not ravi-entrypoint",
                "build it FROM ravi-agent-base, without an ENTRYPOINT of its own",
            )

    def _pull(self, name: str) -> None:
        repository, tag = _split_tag(name)
        layers: dict[str, str] = {}
        done = -1
        try:
            for step in self._steps(repository, tag):
                if "error" in step:
                    raise EngineError(*_not_pulled(name, str(step["error"])))
                status = str(step.get("status", ""))
                if step.get("id") and not status.startswith("Pulling from"):
                    layers[step["id"]] = status
                complete = sum(
                    one in {"Pull complete", "Already exists"} for one in layers.values()
                )
                if complete != done and layers:
                    done = complete
                    self._say(f"pulling {name}: {complete} of {len(layers)} layers")
        except SDK_ERRORS as exc:
            raise EngineError(*_not_pulled(name, engine_words(exc))) from exc

    def _steps(self, repository: str, tag: str | None) -> Iterable[Mapping[str, Any]]:
        """What the engine says while it pulls; without an account where the helper is missing.

        `docker pull` does the same: most images need none.
        """
        options: dict[str, Any] = {
            "tag": tag, "stream": True, "decode": True, "platform": self._platform
        }  # fmt: skip
        api: Any = self._client.api
        steps: Iterable[Mapping[str, Any]]
        try:
            steps = api.pull(repository, **options)
        except (docker.errors.DockerException, StoreError) as exc:
            if isinstance(exc, docker.errors.APIError) or "redential" not in engine_words(exc):
                raise
            self._say(f"pulling without an account: {engine_words(exc)}")
            steps = api.pull(repository, auth_config={}, **options)
        return steps


def _split_tag(name: str) -> tuple[str, str | None]:
    """Repository and tag or digest: without one the engine would pull every tag there is."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    repository, separator, tag = name.rpartition(":")
    if separator and "/" not in tag:
        return repository, tag
    return name, "latest"


def _not_pulled(name: str, why: str) -> tuple[str, str, str]:
    return (
        f"image {name!r} is not here and cannot be pulled",
        " ".join(why.split()),
        "check the spelling, or build it (`make images` builds ravi-agent-base)",
    )
