"""A list and a watch that stay true, whatever the server does meanwhile."""

import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_kubernetes.cluster import Object, now
from fake_kubernetes.server import FakeKubernetes, Fault
from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes import patience
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.watch import Watch

Heard = queue.SimpleQueue[tuple[str, bool] | EngineError]


@pytest.fixture
def begin(fake: FakeKubernetes, tmp_path: Path) -> Iterator[Callable[..., Heard]]:
    """Watch the pods: what is told of them, in its order."""
    config = tmp_path / "kubeconfig"
    config.write_text(fake.kubeconfig())
    api = KubernetesApi(config_file=str(config))
    watches: list[Watch] = []

    def begin(**settings: Any) -> Heard:
        heard: Heard = queue.SimpleQueue()
        watches.append(
            Watch(
                api,
                "pods",
                lambda one, is_gone: heard.put((one["metadata"]["name"], is_gone)),
                heard.put,
                **settings,
            )
        )
        return heard

    yield begin
    for watch in watches:
        watch.close()
    api.close()


def pod(name: str, *, created: str = "") -> Object:
    container = {"name": "agent", "image": "my-agent"}
    metadata = {"name": name, "namespace": "default", "creationTimestamp": created or now()}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container]},
    }


def wait_for_watch(fake: FakeKubernetes, count: int = 1) -> None:
    with fake.cluster.changed:
        assert fake.cluster.changed.wait_for(lambda: fake.called("watch", "pods") >= count, 30)


def test_what_is_there_is_told_and_then_what_changes(
    fake: FakeKubernetes, begin: Callable[[], Heard]
) -> None:
    fake.cluster.put("pods", pod("a"), "ADDED")
    heard = begin()
    assert heard.get(timeout=30) == ("a", False)

    fake.cluster.put("pods", pod("b"), "ADDED")
    assert heard.get(timeout=30) == ("b", False)
    fake.cluster.put("pods", pod("a"), "DELETED")
    assert heard.get(timeout=30) == ("a", True)


def test_after_a_forgotten_version_it_lists_anew_and_tells_what_has_gone(
    fake: FakeKubernetes, begin: Callable[[], Heard]
) -> None:
    for name in ("a", "b"):
        fake.cluster.put("pods", pod(name), "ADDED")
    heard = begin()
    assert [heard.get(timeout=30) for _ in range(2)] == [("a", False), ("b", False)]
    wait_for_watch(fake)

    with fake.cluster.changed:  # all of it at once, so that no watch tells of the deletion
        fake.cluster.put("pods", pod("c"), "ADDED")
        fake.cluster.put("pods", pod("a"), "DELETED")
        fake.cluster.forget()

    told = {heard.get(timeout=30) for _ in range(3)}
    assert told == {("b", False), ("c", False), ("a", True)}
    assert fake.called("list", "pods") == 2


@pytest.mark.parametrize("code", [410, 429, 500, 0])
def test_it_goes_on_behind_a_failure(
    fake: FakeKubernetes, begin: Callable[[], Heard], code: int
) -> None:
    fake.faults.append(Fault("watch", "pods", code, "Whatever", "not now"))
    heard = begin()
    wait_for_watch(fake, 2)

    fake.cluster.put("pods", pod("a"), "ADDED")

    assert heard.get(timeout=30) == ("a", False)


def test_a_missing_right_ends_it(fake: FakeKubernetes, begin: Callable[[], Heard]) -> None:
    message = 'pods is forbidden: User "x" cannot list resource "pods"'
    fake.faults.append(Fault("list", "pods", 403, "Forbidden", message))

    failure = begin().get(timeout=30)

    assert isinstance(failure, EngineError)
    assert "cannot list pods in namespace 'default'" in str(failure)
    assert "kubectl auth can-i list pods --namespace default" in str(failure.fix)


def test_what_is_there_is_told_in_the_order_of_its_creation(
    fake: FakeKubernetes, begin: Callable[[], Heard]
) -> None:
    for name, minute in (("b", 1), ("c", 0), ("a", 2)):
        fake.cluster.put("pods", pod(name, created=f"2026-01-01T00:0{minute}:00Z"), "ADDED")
    heard = begin()

    assert [heard.get(timeout=30) for _ in range(3)] == [("c", False), ("b", False), ("a", False)]


def test_what_the_caller_knew_is_told_as_gone_where_it_is_not_there(
    fake: FakeKubernetes, begin: Callable[..., Heard]
) -> None:
    fake.cluster.put("pods", pod("a"), "ADDED")
    heard = begin(known=pod("b"))

    assert [heard.get(timeout=30) for _ in range(2)] == [("a", False), ("b", True)]


@pytest.mark.parametrize("has_answered", [True, False])
def test_a_server_that_has_just_answered_is_waited_for_before_the_first_list(
    fake: FakeKubernetes,
    begin: Callable[..., Heard],
    monkeypatch: pytest.MonkeyPatch,
    has_answered: bool,
) -> None:
    """It shuts down between what the caller asked and the list."""
    monkeypatch.setattr(patience, "RETRY_S", (0.01,))
    fake.cluster.put("pods", pod("a"), "ADDED")
    why = ("ServiceUnavailable", "apiserver is shutting down")
    fake.faults.append(Fault("list", "pods", 503, *why, count=4))

    told = begin(has_answered=has_answered).get(timeout=30)

    assert (told == ("a", False)) == has_answered


def test_a_right_that_was_missing_from_the_start_ends_it_at_once(
    fake: FakeKubernetes, begin: Callable[..., Heard]
) -> None:
    fake.faults.append(Fault("list", "pods", 403, "Forbidden", "pods is forbidden"))

    assert isinstance(begin(has_answered=True).get(timeout=30), EngineError)
    assert fake.called("list", "pods") == 1
