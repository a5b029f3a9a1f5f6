"""What boot executes: finds the package without `site`, which a start has no time for."""

import sys

sys.path.append(__file__.removesuffix("/ravi_agent/pid1/exec_supervise.py"))

from ravi_agent.pid1.supervise import main

main(sys.argv[1:])
