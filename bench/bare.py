"""The bare SDK loop, as a program of its own, so that its imports count as a launcher's do.

`python -m bench.bare start SETTINGS` creates and starts containers, `stop` stops those that are
there. SETTINGS is JSON: count, concurrency, network, binds, command, label, timeout.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker


def main(what: str, text: str) -> None:
    """Do it, and leave when the last call has returned."""
    settings = json.loads(text)
    api = docker.APIClient(timeout=300, num_pools=settings["concurrency"])
    with ThreadPoolExecutor(settings["concurrency"]) as pool:
        if what == "start":
            list(pool.map(lambda _: _start(api, settings), range(settings["count"])))
        else:
            there = api.containers(filters={"label": settings["label"]})
            list(pool.map(lambda one: api.stop(one["Id"], timeout=10), there))


def _start(api: docker.APIClient, settings: dict[str, Any]) -> None:
    host = api.create_host_config(binds=settings["binds"], network_mode=settings["network"])
    created = api.create_container(
        settings["image"],
        entrypoint=["/tini", "--"],
        command=settings["command"],
        labels=[settings["label"]],
        host_config=host,
    )
    api.start(created["Id"])


if __name__ == "__main__":
    main(*sys.argv[1:])
