"""The second half of PID 1: run the agent, pass on signals, reap, drain, exit with its code.

Knows nothing of identities. Where boot may have held a key of the account, this is a program of its
own, and boot's memory is gone; else boot's process goes on as this.
All signals stay blocked and are taken one at a time, so there is no handler, no race with the
agent's start, and no wake-up while nothing happens. Whatever it needs is loaded before the agent
starts: an agent may replace Python, and this package with it.
"""

import os
import sys

from ravi_agent import contract
from ravi_agent.container import prctl
from ravi_agent.container.bug import say_bug
from ravi_agent.container.descendants import descendants
from ravi_agent.container.descriptors import close_others, open_standard
from ravi_agent.container.environ import initial_environ
from ravi_agent.container.options import Options, to_release_words
from ravi_agent.container.phases import run_phase
from ravi_agent.container.spawn import Spawner
from ravi_agent.container.status import write_agent_status
from ravi_agent.container.stop import block_signals, ignored_signals, stop_signals
from ravi_agent.container.supervisor import Supervisor
from ravi_agent.container.verdict import used_line
from ravi_agent.log import Log, write_stderr

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import NoReturn
else:
    import _signal as signal  # as in stop.py

PROGRAM = "ravi-entrypoint"


def main(argv: list[str]) -> "NoReturn":
    """Run the agent and exit with its code, or 128+n, 126, 127."""
    block_signals()
    open_standard()
    _leave_with(lambda: _supervise(Options.from_words(argv), initial_environ()))


def go_on(options: Options, environment: dict[str, str]) -> "NoReturn":
    """Do that in the process that has booted. Expects all signals to be blocked."""
    _leave_with(lambda: _supervise(options, environment))


def _leave_with(supervise: "Callable[[], int]") -> "NoReturn":
    try:
        code = supervise()
    except BaseException as exc:  # noqa: BLE001 - the one place where every failure becomes a code
        code = _fail(exc)
    os._exit(code)


def _supervise(options: Options, environment: dict[str, str]) -> int:
    close_others(options.held)
    level, form = options.log
    log = Log(PROGRAM, level=level, is_json=form == "json")
    pending = signal.sigpending()
    ignored = ignored_signals()
    stops = set[int]() if options.agent else stop_signals(options.signal_map) - ignored
    for number in stops:
        if number in pending:  # came while boot was at it: nothing runs yet, so nothing will
            return contract.EXIT_SIGNAL_BASE + number
    # Ignored, it would lose the agent's code. Elsewhere this would discard one that is pending.
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if os.getpid() != 1 and not prctl.become_subreaper():
        log.warning("orphans are not reaped: no subreaper", "run as PID 1")
    if os.getpid() == 1 and options.user is None:
        # An agent of the same user could stop PID 1 by ptrace(2).
        prctl.forbid_tracing()
    spawner = Spawner(options, environment, log, ignored)
    try:
        if options.start_hook and (code := _run_start_hook(options, spawner, log, ignored)):
            return code
        agent = options.agent or spawner.start(options.command)
    except OSError as exc:
        from ravi_agent.container.exec_error import no_process  # no agent has run yet

        return no_process(exc).leave(options.command[0], log)
    if "ravi_agent.packed" in sys.modules:
        from ravi_agent.packed import forget_packed

        forget_packed()
    try:
        os.chdir("/")  # so that what is mounted at the agent's directory can be unmounted
    except OSError as exc:
        log.debug(f"stays in its directory: {exc.strerror}")
    uuid = environment.get("RAVI_IDENTITY_UUID")
    if options.agent is None:
        write_agent_status(options, phase="running", uuid=uuid, agent_pid=agent)
    code = Supervisor(agent, options, log, ignored, spawner).run()
    write_agent_status(options, phase="ended", uuid=uuid, exit_code=code)
    if options.is_telling:
        write_stderr(used_line())
    code = options.exit_remap.get(code, code)
    if options.on_exit:
        run_phase("release", to_release_words(code, options.on_exit), environment, log)
    return code


def _run_start_hook(options: Options, spawner: Spawner, log: Log, ignored: set[int]) -> int:
    """0 where the agent may start; what the hook has started in its background runs on."""
    pid = spawner.start([str(options.start_hook)])
    supervisor = Supervisor(pid, options, log, ignored, spawner, is_hook=True)
    code = supervisor.run()
    if supervisor.stopped_by is not None:
        return contract.EXIT_SIGNAL_BASE + supervisor.stopped_by
    if code:
        what = f"RAVI_START_HOOK={options.start_hook!r}"
        log.error(f"{what}: it ended with {code}", "mend it, or unset the variable")
    return code


def _fail(exc: BaseException) -> int:
    """Say why there is nobody any more to supervise, and leave nothing running unseen."""
    if os.getpid() != 1:  # the kernel ends what is left of PID 1's
        for pid in descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
    if isinstance(exc, OSError | MemoryError):
        why = exc.strerror if isinstance(exc, OSError) else "no memory is left"
        Log(PROGRAM).error(f"the agent cannot be supervised: {why}", "look at the host's limits")
        return contract.EXIT_BUG
    say_bug(PROGRAM, exc)
    return contract.EXIT_BUG


if __name__ == "__main__":
    main(sys.argv[1:])
