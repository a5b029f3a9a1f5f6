"""An init that gets everything wrong, to show that each check can fail."""

import os
import signal
import sys
import time

signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
time.sleep(2)
agent = os.fork()
if agent == 0:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.setpgid(0, 0)
    try:
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError:
        os._exit(1)
while os.waitpid(agent, os.WNOHANG) == (0, 0):
    time.sleep(0.02)
os.write(2, b"ended\n")
