"""What the base image adds to its Python base, and how long it takes to build."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from bench.samples import Ratio
from bench.world import IMAGE, Program, World

TITLE = "The base image"
SETTINGS = ()
COLD, WARM, AGENT = "build without a cache", "build of what is there", "FROM it, and one COPY"
RATIOS = [Ratio(of=one, over=COLD, measure="wall_s") for one in (WARM, AGENT)]
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_TAG = "bench"
_BASE_LABEL = "org.opencontainers.image.base.name"


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """As `make images` builds it, under a tag of its own; what is pulled is there before."""
    script = os.path.join(_ROOT, "scripts", "images")
    only = {"IMAGES": IMAGE, "TAG": _TAG}

    def build(settings: Mapping[str, str]) -> Mapping[str, float]:
        began = time.monotonic()
        Program([script, "release"], {**only, **settings}).finish()
        return {"wall_s": time.monotonic() - began, "added_mb": added_mb(world)}

    def agent() -> Mapping[str, float]:
        directory = os.path.join(world.directory, "agent")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "agent"), "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n# {time.monotonic_ns()}\n")
        with open(os.path.join(directory, "Dockerfile"), "w", encoding="utf-8") as file:
            file.write(f"FROM {IMAGE}:{_TAG}\nCOPY agent /agent\n")
        began = time.monotonic()
        command = ["docker", "build", "--quiet", "--tag", f"ravi-agent:{_TAG}", directory]
        subprocess.run(command, check=True, capture_output=True)
        return {"wall_s": time.monotonic() - began, "added_mb": added_mb(world)}

    build({})
    yield {COLD: partial(build, {"NO_CACHE": "1"}), WARM: partial(build, {}), AGENT: agent}
    for name in (f"ravi-agent:{_TAG}", f"{IMAGE}:{_TAG}"):
        world.client.images.remove(name, force=True)


def added_mb(world: World) -> float:
    """Of the base image over its own base."""
    image = world.client.images.get(f"{IMAGE}:{_TAG}")
    base = world.client.images.get(image.labels[_BASE_LABEL])
    return float(image.attrs["Size"] - base.attrs["Size"]) / 1e6
