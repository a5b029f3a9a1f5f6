"""What is tried below one init. Each probe answers for one or more rows of the table.

A probe raises AssertionError where nothing could be measured: that is neither green nor red.
"""

import signal
from typing import NamedTuple

from conformance.containers import AGENT, BAD, BELOW, OURS, SLOWNESS, Box, Engine, Init, comes_true

GRACE_S = 1.5 * SLOWNESS  # longer than the half second that a clean-up takes
STOP_S = round(4 * SLOWNESS)  # `docker stop -t`: how long until Docker's own SIGKILL
AT_ONCE_S = 3 * SLOWNESS  # for what comes at once from a program that runs
STARTS = 3
MORE_LOOKS = round(SLOWNESS)
# What the C library keeps for itself (32, 33) is not among Python's valid signals.
CATCHABLE = sorted(
    int(number)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
)
STOPS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGRTMIN + 3}


class Verdict(NamedTuple):
    """Green, red, or None where the row is not for that init; and what was seen."""

    is_green: bool | None
    seen: str


Verdicts = dict[str, Verdict]


def signals(engine: Engine, init: Init) -> Verdicts:
    """Every signal to PID 1 once, in one container, and who got it."""
    with engine.run(*init.command, *AGENT, "signals", grace_s=60) as box:
        box.wait_for("ready")

        def received(who: str) -> set[int]:
            lines = (line.split() for line in box.output().splitlines())
            return {int(words[1]) for words in lines if words[0] == who}

        def send(*numbers: int) -> None:
            box.execute(*AGENT, "send", *map(str, numbers))
            everybody = ("agent", "grandchild")
            comes_true(lambda: all({*numbers} <= received(who) for who in everybody), 1)

        # One at a time: the kernel drops a pending SIGCONT at a stop signal, and the reverse.
        send(signal.SIGCONT)
        send(*(number for number in CATCHABLE if number != signal.SIGCONT))
        send(signal.SIGCONT)  # dumb-init turns SIGTSTP and its like into SIGSTOP
        agent, grandchild = received("agent"), received("grandchild")
    missing = [number for number in CATCHABLE if number not in agent]
    lost = [number for number in sorted(STOPS) if number not in grandchild]
    spread = sorted(grandchild - STOPS)
    return {
        "signals": Verdict(not missing, f"did not arrive: {_numbers(missing)}"),
        "group": Verdict(not lost, f"did not arrive: {_numbers(lost)}"),
        # One that loses everything leaves helpers alone for no merit of its own.
        "alone": Verdict(
            not spread and len(agent) > len(CATCHABLE) / 2,
            f"a helper gets {_numbers(spread)}" if spread else "the agent gets none",
        ),
    }


def _numbers(numbers: list[int]) -> str:
    """`1-3 7`, or `none`."""
    words: list[str] = []
    for number in numbers:
        if words and number - 1 in numbers:
            words[-1] = f"{words[-1].partition('-')[0]}-{number}"
        else:
            words.append(str(number))
    return " ".join(words) or "none"


def exit_codes(engine: Engine, init: Init) -> Verdicts:
    """A container for each code."""

    def verdict(cases: dict[str, int]) -> Verdict:
        seen = []
        for command in cases:
            with engine.run(*init.command, *command.split(maxsplit=2)) as box:
                seen.append(box.code())
        return Verdict(seen == [*cases.values()], " ".join(map(str, seen)))

    return {
        "exit-code": verdict({f"sh -c exit {code}": code for code in (0, 7, 255)}),
        "signal-death": verdict(
            {f"sh -c kill -{name} $$": 128 + signal.Signals[f"SIG{name}"] for name in _DEADLY}
        ),
        "not-found": verdict({"nonesuch": 127}),
        "not-executable": verdict({"/etc/passwd": 126}),
    }


_DEADLY = ("TERM", "KILL", "SEGV")


def stops(engine: Engine, init: Init) -> Verdicts:
    """`docker stop` of an agent that does nothing about it."""
    with engine.run(*init.command, "sh", "-c", "echo ready; exec sleep 600") as box:
        box.wait_for("ready")
        box.stop(STOP_S)
        code = box.code()
    return {"stop": Verdict(code == _STOPPED, f"exit code {code}")}


def stops_at_start(engine: Engine, init: Init) -> Verdicts:
    """`docker stop` of an agent that may not run yet."""
    at_start: list[int | None] = []
    # A signal that comes while runc executes the container's first program is lost with runc's
    # handlers, whatever that program is: PID 1 has no default action (pid_namespaces(7)).
    allowed = STARTS // 2
    for _ in range(5 * STARTS):
        if len(at_start) == STARTS or _lost(at_start) > allowed:
            break
        with engine.run(*init.command, "sleep", "600") as box:
            box.stop(STOP_S)
            code = box.code()
        if code != _ENGINES_OWN:
            at_start.append(code)
    assert at_start, "the engine ended each itself"
    seen = f"exit code {' '.join(map(str, at_start))}"
    return {"stop-at-start": Verdict(_lost(at_start) <= allowed, seen)}


def _lost(codes: list[int | None]) -> int:
    return len(codes) - codes.count(_STOPPED)


_STOPPED = 128 + signal.SIGTERM
# What runc exits with at a SIGTERM before it has become the init, on a busy machine.
_ENGINES_OWN = 2


def reaping(engine: Engine, init: Init) -> Verdicts:
    """Orphans one by one, 200 at one moment, and 200 at the moment the agent ends."""
    with engine.run(*init.command, *AGENT, "orphans") as box:
        one_by_one = _zombies(box, "zombies after 50 orphans: ")
    with engine.run(*init.command, *AGENT, "bursts") as box:
        at_once = _zombies(box, "zombies after 200 at once: ")
        code = box.code()
    with engine.run(*BELOW, "parent", *init.command, *AGENT, "orphans") as box:
        below = _zombies(box, "zombies after 50 orphans: ")
    return {
        "orphans": Verdict(one_by_one == 0, f"{one_by_one} of 50 stay zombies"),
        "burst": Verdict(
            at_once == 0 and code == 7, f"{at_once} of 200 stay zombies, exit code {code}"
        ),
        "subreaper": Verdict(below == 0, f"{below} of 50 stay zombies"),
    }


def _zombies(box: Box, label: str) -> int:
    box.wait_for(label)
    return int(box.output().partition(label)[2].split()[0])


def drain_at_exit(engine: Engine, init: Init) -> Verdicts:
    """The agent ends by itself with 5 and leaves a descendant with a session of its own."""
    with engine.run(*init.command, *AGENT, "descend", "5", "tidy", "now", grace_s=GRACE_S) as box:
        tidy = _drained(box, 5)
    with engine.run(*init.command, *AGENT, "descend", "5", "deaf", "now", grace_s=GRACE_S) as box:
        deaf = _drained(box, 5)
    return {"drain-at-exit": tidy, "deaf-descendant": deaf}


def drain_at_stop(engine: Engine, init: Init) -> Verdicts:
    """The same after `docker stop`; and an agent that hears no stop, which nobody else ends."""
    with engine.run(*init.command, *AGENT, "descend", "3", "tidy", "stop", grace_s=GRACE_S) as box:
        box.wait_for("ready")
        box.stop(STOP_S)
        drained = _drained(box, 3)
    with engine.run(*init.command, *AGENT, "stubborn", grace_s=GRACE_S) as box:
        box.wait_for("ready")
        box.kill(signal.SIGTERM)
        code = box.code(GRACE_S + PATIENCE_AFTER_GRACE_S)
    return {
        "drain-at-stop": drained,
        "deaf-agent": Verdict(
            code == 128 + signal.SIGKILL, "runs on" if code is None else f"exit code {code}"
        ),
    }


PATIENCE_AFTER_GRACE_S = 4 * SLOWNESS


def _drained(box: Box, expected: int) -> Verdict:
    code = box.code(GRACE_S + PATIENCE_AFTER_GRACE_S)
    output = box.output()
    assert "ready" in output, output
    is_clean = "cleaned up" in output
    how = "cleaned up" if is_clean else "cut short" if "asked" in output else "not asked to go"
    end = "the container runs on" if code is None else f"exit code {code}"
    return Verdict(is_clean and code == expected, f"descendant {how}, {end}")


def first_thread(engine: Engine, init: Init) -> Verdicts:
    """The agent ends with 5 and leaves a process whose first thread has ended."""
    with engine.run(*init.command, *AGENT, "headless", "5", grace_s=GRACE_S) as box:
        return {"first-thread": _drained(box, 5)}


def pool(engine: Engine, init: Init) -> Verdicts:
    """A master that at a stop lets its worker finish, which a stop of its own would cut short."""
    scope = {"RAVI_SIGNAL_SCOPE": "agent"}
    with engine.run(*init.command, *AGENT, "pool", environment=scope) as box:
        box.wait_for("ready")
        box.stop(STOP_S)
        has_finished = "worker finished" in box.output()
        code = box.code()
    how = "finishes" if has_finished else "is cut short"
    return {"pool": Verdict(has_finished and code == 0, f"the worker {how}, exit code {code}")}


def unread(engine: Engine, init: Init) -> Verdicts:
    """Standard error is full and nobody reads it: the agent ends, and its container does so too."""
    loud = {"RAVI_LOG_LEVEL": "debug"}
    with engine.run(*BELOW, "unread", *init.command, "sh", "-c", "exit 7", environment=loud) as box:
        code = box.code()
    return {"unread": Verdict(code == 7, "hangs" if code is None else f"exit code {code}")}


def caller(engine: Engine, init: Init) -> Verdicts:
    """As `nohup` starts a program on a host: below another process, with HUP ignored."""
    with engine.run(*BELOW, "nohup", *init.command, "grep", "SigIgn", "/proc/self/status") as box:
        box.wait_for("SigIgn")
        ignored = _signals_of([box.output().split("SigIgn:")[1].split()[0]])
    return {"nohup": Verdict(signal.SIGHUP in ignored, "HUP would end it")}


def top(engine: Engine, init: Init) -> Verdicts:
    """One `docker top` as soon as the engine says that the container runs, and if need be another
    after a `docker exec` of Python; more than one where the processor is emulated.
    """
    at_once = in_all = 0
    for _ in range(STARTS):
        with engine.run(*init.command, "sleep", "600", user="root") as box:
            is_there = "sleep" in box.programs()
            at_once += is_there
            for _ in range(MORE_LOOKS):
                if is_there:
                    break
                box.execute("python3", "-I", "-c", "pass")
                is_there = "sleep" in box.programs()
            in_all += is_there
    seen = f"a single look finds it {at_once} times of {STARTS}, one more look {in_all} times"
    return {"top": Verdict(in_all > STARTS / 2, seen)}  # one may be late on a busy machine


def inheritance(engine: Engine, init: Init) -> Verdicts:
    """An init that was started with odds and ends: what the agent gets of them, what it keeps."""
    with engine.run(*BELOW, "inherit", *init.command, "sleep", "600") as box:
        found = _inspect(box)
    with engine.run(*init.command, "sleep", "600", has_terminal=True) as box:
        on_terminal = _inspect(box)
    opened = [number for number in found["descriptors"] if int(number) > 2]
    kept = [number for number in found["own descriptors"] if number == "7"]
    blocked = _signals_of(found["SigBlk"]) or _signals_of(on_terminal["SigBlk"])
    ignored = _signals_of(found["SigIgn"]) or _signals_of(on_terminal["SigIgn"])
    variables = [
        variable
        for variable in sorted(found["environment"])
        if not variable.startswith(("RAVI_", "PATH="))
    ]
    (directory,) = found["own directory"]
    assert found["directory"] == ["/workspace"], found
    return {
        "descriptors": Verdict(not opened, f"open: {' '.join(opened) or 'none'}"),
        "own-descriptors": Verdict(not kept, "keeps it open"),
        "mask": Verdict(not blocked, f"blocked: {_numbers(blocked)}"),
        "dispositions": Verdict(not ignored, f"ignored: {_numbers(ignored)}"),
        "environment": Verdict(
            variables == ["LISTEN_PID=4242"], f"finds {' '.join(variables) or 'none'}"
        ),
        "directory": Verdict(directory == "/", f"stays in {directory}"),
    }


def _inspect(box: Box) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in box.execute(*AGENT, "inspect", "sleep").splitlines():
        name, _, value = line.partition(": ")
        found.setdefault(name, []).append(value)
    return found


def _signals_of(masks: list[str]) -> list[int]:
    """The signals in a mask of /proc, but for the C library's own.

    glibc's posix_spawn leaves 32 ignored in what it starts, an engine and all its containers
    among it; no program can set that, nor does it matter to one.
    """
    bits = int(masks[0], 16)
    return [int(number) for number in sorted(signal.valid_signals()) if bits >> (number - 1) & 1]


def terminal(engine: Engine, init: Init) -> Verdicts:
    """`docker run -it`: whose the terminal is, and what it sends."""
    with engine.run(*init.command, *AGENT, "terminal", has_terminal=True) as box:
        box.wait_for("ready")
        is_foreground = "ready foreground" in box.output()
        with box.terminal() as person:
            person.type("\x03")
            box.has_said("SIGINT", AT_ONCE_S)
        box.resize(columns=101, lines=37)
        is_resized = box.has_said("SIGWINCH 101x37", AT_ONCE_S)
        # One that an init passes on as well would come about now.
        comes_true(lambda: box.output().count("SIGINT") > 1, 0.3)
        times = box.output().count("SIGINT")
    return {
        "foreground": Verdict(is_foreground, "in the background"),
        "interrupt": Verdict(times == 1, f"arrives {times} times"),
        "resize": Verdict(is_resized, "does not arrive"),
    }


def job_control(engine: Engine, init: Init) -> Verdicts:
    """Ctrl-Z, `fg` and Ctrl-C in a shell that is the agent, and in one above the init."""
    shell = ("bash", "--norc", "-i")
    with engine.run(*init.command, *shell, has_terminal=True) as box:
        inside = _suspend_and_resume(box, AGENT)
    with engine.run(*shell, has_terminal=True) as box:
        above = _suspend_and_resume(box, (*init.command, *AGENT))
    return {"shell-inside": inside, "shell-above": above}


def _suspend_and_resume(box: Box, command: tuple[str, ...]) -> Verdict:
    steps = (
        ("the program starts", f"{' '.join(command)} resumable\n", "agent up"),
        ("Ctrl-Z stops it", "\x1a", "Stopped"),
        ("the shell has its terminal back", "echo at-$((40 + 2))\n", "at-42"),
        ("fg continues it", "fg\n", "agent resumed"),
        ("Ctrl-C ends it", "\x03", "^C"),
        ("the shell learns how it ended", "echo code-$?\n", "code-130"),
    )
    with box.terminal() as person:
        for step, text, answer in steps:
            person.type(text)
            if not person.shows(answer, AT_ONCE_S):
                return Verdict(False, f"fails at: {step}")
    return Verdict(True, "works")


def idleness(engine: Engine, init: Init) -> Verdicts:
    """How often PID 1 wakes in three seconds in which nothing happens."""
    with engine.run(*init.command, "sh", "-c", "echo ready; exec sleep 600") as box:
        box.wait_for("ready")
        count = int(box.execute(*AGENT, "wakeups", "3"))
    return {"idle": Verdict(count == 0, f"wakes up about {count / 3:.0f} times a second")}


def stepping_down(engine: Engine, init: Init) -> Verdicts:
    """Started as root; a stop must still reach whom it signals as root."""
    command = (*init.command, *AGENT, "descend", "3", "tidy", "stop")
    if init not in {OURS, BAD}:
        return {"step-down": Verdict(None, "no such feature")}
    with engine.run(*command, user="root", grace_s=GRACE_S) as box:
        box.wait_for("ready")
        is_agent = "ready uid=1000 gid=1000 groups=1000\n" in box.output()
        box.stop(STOP_S)
        drained = _drained(box, 3)
    whom = "steps down" if is_agent else "stays root"
    return {"step-down": Verdict(is_agent and bool(drained.is_green), f"{whom}, {drained.seen}")}
