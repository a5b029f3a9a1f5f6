"""The rows of the table: what an init should do, what that means, and which probe tells."""

from collections.abc import Callable
from typing import NamedTuple

from conformance import probes
from conformance.containers import Engine, Init

Probe = Callable[[Engine, Init], probes.Verdicts]


class Row(NamedTuple):
    """One behaviour; `key` is its name in what the probe answers."""

    key: str
    probe: Probe
    behaviour: str
    meaning: str


ROWS = (
    Row(
        "signals",
        probes.signals,
        "Every signal reaches the agent",
        "each from 1 to 64 that can be caught, sent to PID 1; not CHLD, nor 32 and 33, which the"
        " C library keeps",
    ),
    Row(
        "group",
        probes.signals,
        "A stop reaches the agent's process group",
        "TERM, INT, HUP, QUIT and RTMIN+3 reach a child of the agent too: a shell script's program"
        " ends with it",
    ),
    Row(
        "alone",
        probes.signals,
        "Any other signal is the agent's alone",
        "no child of the agent is ended by a USR1 that only the agent knows",
    ),
    Row(
        "exit-code",
        probes.exit_codes,
        "The agent's exit code is the container's",
        "0, 7 and 255",
    ),
    Row(
        "signal-death",
        probes.exit_codes,
        "128+n when a signal ends the agent",
        "TERM 143, KILL 137, SEGV 139",
    ),
    Row("not-found", probes.exit_codes, "127 for a program that is not there", "as a shell says"),
    Row(
        "not-executable",
        probes.exit_codes,
        "126 for a file that cannot be executed",
        "as a shell says",
    ),
    Row("stop", probes.stops, "A stop is 143", "`docker stop` of an agent that leaves TERM alone"),
    Row(
        "stop-at-start",
        probes.stops_at_start,
        "A stop right after the start is not lost",
        "`docker stop` as soon as `docker start` returns ends the container with 143; one of three"
        " may come before the program that is PID 1, and is lost",
    ),
    Row(
        "orphans", probes.reaping, "Orphans are reaped", "50, one after the other, leave no zombie"
    ),
    Row(
        "burst",
        probes.reaping,
        "Many ends at one moment are all seen",
        "200 orphans together leave no zombie, and 200 together with the agent do not hide its end:"
        " the kernel may tell of all with one SIGCHLD",
    ),
    Row(
        "subreaper",
        probes.reaping,
        "Orphans are reaped without being PID 1",
        "below a PID 1 that reaps nothing, without an option",
    ),
    Row(
        "drain-at-exit",
        probes.drain_at_exit,
        "What the agent leaves behind may clean up",
        "a descendant with a session of its own gets TERM when the agent ends, and the 0.5 s that"
        " it needs; the code is the agent's",
    ),
    Row(
        "drain-at-stop",
        probes.drain_at_stop,
        "What a stopped agent leaves behind may clean up",
        "the same when `docker stop` ended the agent",
    ),
    Row(
        "deaf-descendant",
        probes.drain_at_exit,
        "A descendant that ignores TERM gets its time, then is killed",
        "the container ends after the grace, with the agent's code",
    ),
    Row(
        "deaf-agent",
        probes.drain_at_stop,
        "An agent that ignores TERM is killed after the grace",
        "without Docker's own SIGKILL, with 137",
    ),
    Row(
        "first-thread",
        probes.first_thread,
        "A helper whose first thread has ended may clean up",
        "`/proc` shows it as a zombie; it gets TERM as any other",
    ),
    Row(
        "pool",
        probes.pool,
        "A pool drains its workers",
        "a stop goes to the master alone, which lets its worker finish; ours with"
        " `RAVI_SIGNAL_SCOPE=agent`",
    ),
    Row(
        "unread",
        probes.unread,
        "An unread standard error holds up nothing",
        "the pipe is full, and the container ends with its agent's 7",
    ),
    Row(
        "descriptors",
        probes.inheritance,
        "The agent has no descriptor from above",
        "one that the init was started with, 7, is closed in the agent",
    ),
    Row(
        "own-descriptors",
        probes.inheritance,
        "The init keeps none of them open",
        "so that whoever waits at the other end of a pipe sees its end",
    ),
    Row(
        "directory",
        probes.inheritance,
        "The init holds no directory",
        "its own is `/`, so what is mounted at the agent's can be unmounted",
    ),
    Row(
        "mask",
        probes.inheritance,
        "The agent starts with no signal blocked",
        "even if the init was started with TERM blocked",
    ),
    Row(
        "dispositions",
        probes.inheritance,
        "The agent starts with no signal ignored",
        "even if the init was started with HUP ignored",
    ),
    Row(
        "nohup",
        probes.caller,
        "On a host an ignored HUP stays ignored",
        "`nohup`: the init is not PID 1",
    ),
    Row(
        "environment",
        probes.inheritance,
        "The agent's environment is the container's",
        "no `LC_CTYPE` under the C locale, `LISTEN_PID` as it was; ours adds `RAVI_…`",
    ),
    Row(
        "foreground",
        probes.terminal,
        "The terminal is the agent's",
        "`docker run -it`: the agent's process group is the foreground one",
    ),
    Row("interrupt", probes.terminal, "Ctrl-C arrives once", "not lost, and not passed on twice"),
    Row("resize", probes.terminal, "A new size of the terminal arrives", "as WINCH"),
    Row(
        "shell-inside",
        probes.job_control,
        "A shell has job control",
        "`docker run -it … bash`: Ctrl-Z, `fg`, Ctrl-C",
    ),
    Row(
        "shell-above",
        probes.job_control,
        "A shell above the init has job control",
        "an init that a shell runs as a job stops with its agent at Ctrl-Z, and both go on",
    ),
    Row(
        "top",
        probes.top,
        "`docker top` soon after the start shows the agent",
        "as soon as `docker start` returns, or after a `docker exec` of Python; as root, in two of"
        " three starts at least. Below: how often a single look is enough",
    ),
    Row("idle", probes.idleness, "It sleeps while nothing happens", "no wake-up in 3 s"),
    Row(
        "step-down",
        probes.stepping_down,
        "Started as root, it runs the agent as another user",
        "uid, gid and groups; stop and clean-up as above. The others leave that to other tools",
    ),
)
