"""What an init may find itself below.

`inherit INIT…` and `unread INIT…` become it, `parent INIT…` and `nohup INIT…` start it.
"""

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
if mode == "unread":  # a full pipe as standard error, which is its own reader and reads nothing
    os.mkfifo("/tmp/unread")
    pipe = os.open("/tmp/unread", os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(pipe, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(pipe, True)
    os.dup2(pipe, 2)
    os.execvp(command[0], command)
if mode == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
init = os.fork()
if init == 0:
    os.execvp(command[0], command)
os._exit(os.waitstatus_to_exitcode(os.waitpid(init, 0)[1]) & 0xFF)  # reaps no other
