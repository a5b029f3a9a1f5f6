"""The test image, and each probe run once for each init."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from conformance.containers import BAD, IMAGE, OURS, RIVALS, Engine, Init
from conformance.probes import Verdict, Verdicts
from conformance.rows import Probe, Row

INITS = (OURS, *RIVALS, BAD)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.timeout(300))  # the first of a probe's tests runs it


class Laboratory:
    """Runs a probe when a row first asks for it, for all inits side by side."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._answers: dict[tuple[Probe, Init], Verdicts] = {}

    def verdict(self, row: Row, init: Init) -> Verdict:
        """What came of a row; AssertionError where it could not be measured."""
        if (row.probe, init) not in self._answers:
            with ThreadPoolExecutor(len(INITS)) as pool:
                answers = pool.map(lambda each: row.probe(self.engine, each), INITS)
                self._answers |= {
                    (row.probe, each): answer for each, answer in zip(INITS, answers, strict=True)
                }
        return self._answers[row.probe, init][row.key]


@pytest.fixture(scope="session")
def laboratory() -> Iterator[Laboratory]:
    client = docker.DockerClient.from_env(timeout=120, max_pool_size=2 * len(INITS))
    try:
        client.images.build(path=str(Path(__file__).parent), tag=IMAGE, rm=True, forcerm=True)
        yield Laboratory(Engine(client))
    finally:
        client.close()
