"""The table of `docs/scale.md` is that of its results, and what is counted is what passed."""

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from bench.scale import page
from bench.scale.meter import Wire, calls

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
RESULTS = ROOT / "bench/scale/results.json"


def results() -> list[dict[str, Any]]:
    return list(json.loads(RESULTS.read_text(encoding="utf-8")).values())


def one(**changed: object) -> dict[str, Any]:
    return {
        "agents": 1_000,
        "nodes": 10,
        "cpu_s": 6.0,
        "memory_mb": 70.04,
        "received": 60_000_000,
        "sent": 12_000,
        "calls": {"create jobs": 2, "list pods": 5, "patch jobs": 1, "watch pods": 1},
        "changes": 8_040,
        "pod_bytes": 11_040,
        "store_mb": 90.1,
        "wall_s": 90.4,
        "date": "2026-01-01",
        "kubernetes": "1.34.4",
        "python": "3.11.7",
        "cores": 2,
        **changed,
    }


def test_the_page_has_the_table_of_the_results_that_are_kept() -> None:
    assert results()
    assert page.put_into(PAGE, results()) == PAGE


def test_no_call_of_the_launcher_grows_with_the_run_but_the_pages_of_lists() -> None:
    counted = [
        {name: count for name, count in run["calls"].items() if name.startswith(("cr", "pa", "de"))}
        for run in results()
    ]

    assert len({json.dumps(calls) for calls in counted}) == 1


def test_a_row_says_what_is_used_in_all_and_per_agent() -> None:
    shown = page.table([one(), one(agents=3_000)]).splitlines()

    assert shown[2] == (
        "| 1,000 | 6.0 s | 6.0 ms | 70 MB | 60.0 MB | 60.0 KB | 8.0 | 12 KB"
        " | 3 | 5 | 1 | 0 | 90 s |"
    )
    assert shown[3].startswith("| 3,000 | 6.0 s | 2.0 ms | 70 MB | 60.0 MB | 20.0 KB |")
    assert "- 1,000 agents: 2026-01-01, Kubernetes 1.34.4, Python 3.11.7, 2 cores" in shown[5]


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no marks"):
        page.put_into("# Scale\n", [])


def test_a_call_that_is_noted_at_its_start_and_its_end_counts_once() -> None:
    def noted(number: int, verb: str, **target: str) -> str:
        return json.dumps(
            {
                "auditID": str(number),
                "verb": verb,
                "requestURI": "/version?timeout=5s",
                **({"objectRef": target} if target else {}),
            }
        )

    audit = [
        noted(1, "watch", resource="pods"),
        noted(2, "watch", resource="pods"),
        noted(3, "get", resource="pods", subresource="log"),
        noted(4, "get"),
        noted(1, "watch", resource="pods"),
    ]

    assert calls(audit) == {"watch pods": 2, "get pods/log": 1, "get /version": 1}


def test_a_wire_passes_all_on_and_counts_it_each_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as target:

        def answer() -> None:
            connection, _ = target.accept()
            with connection:
                while part := connection.recv(1 << 16):
                    connection.sendall(part * 3)

        threading.Thread(target=answer, daemon=True).start()
        with (
            Wire(target.getsockname()[1]) as wire,
            socket.create_connection(("127.0.0.1", wire.port)) as client,
        ):
            client.sendall(b"x" * 100_000)
            client.shutdown(socket.SHUT_WR)
            got = b""
            while part := client.recv(1 << 16):
                got += part

            assert got == b"x" * 300_000
            assert (wire.sent, wire.received, wire.connections) == (100_000, 300_000, 1)
