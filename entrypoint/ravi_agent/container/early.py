"""The agent's start while PID 1 becomes supervise: one start of Python less to wait for."""

import os

from ravi_agent.container.exec_error import ExecError
from ravi_agent.container.options import Options
from ravi_agent.container.phases import exec_phase
from ravi_agent.container.spawn import Spawner
from ravi_agent.container.status import write_agent_status
from ravi_agent.container.stop import stop_signals
from ravi_agent.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn
else:
    import _signal as signal  # as in stop.py


def exec_supervise(options: Options, environment: dict[str, str], log: Log) -> "NoReturn":
    """Become supervise, with the agent as a child already where nothing speaks against it.

    That is where the agent is another user than PID 1, so that it can do nothing to it meanwhile.
    Its first instruction comes after this program's memory has gone: it waits for the end of a
    pipe, which the kernel closes at execve(2) once the new memory is there (fs/exec.c,
    begin_new_exec). Raises ExecError.
    """
    if options.held is not None:
        os.set_inheritable(options.held, True)
    if not _can_start_early(options):
        exec_phase("supervise", options.to_words(), environment)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would lose the agent's code
    reader, writer = os.pipe()
    try:
        options.agent = Spawner(options, environment, log).start(
            options.command, gate=(reader, writer)
        )
        write_agent_status(
            options,
            phase="running",
            uuid=environment.get("RAVI_IDENTITY_UUID"),
            agent_pid=options.agent,
        )
    except OSError:
        pass  # supervise says why, if it cannot either
    try:
        exec_phase("supervise", options.to_words(), environment)
    except ExecError:
        os.write(writer, b"x")
        raise


def _can_start_early(options: Options) -> bool:
    if os.getpid() != 1 or options.user is None or options.start_hook:
        return False
    return not stop_signals(options.signal_map) & signal.sigpending()
