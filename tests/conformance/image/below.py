"""What an init may find itself below: `inherit INIT…` becomes it, `parent INIT…` starts it."""

import os
import signal
import sys

mode, *command = sys.argv[1:]
if mode == "inherit":
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 7, inheritable=True)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    environment = {name: os.environ[name] for name in ("PATH", "RAVI_GRACE", "RAVI_LOG_LEVEL")}
    environment["LISTEN_PID"] = "4242"
    os.execvpe(command[0], command, environment)
init = os.fork()
if init == 0:
    os.execvp(command[0], command)
os._exit(os.waitstatus_to_exitcode(os.waitpid(init, 0)[1]) & 0xFF)  # reaps no other
