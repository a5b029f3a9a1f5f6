"""What PID 1 executes to become its next phase: `exec_phase.py supervise|release …`.

Finds the package without `site`, which a start has no time for.
"""

import sys

sys.path.append(__file__.removesuffix("/ravi_agent/container/exec_phase.py"))

if sys.argv[1] == "supervise":
    from ravi_agent.container.supervise import main
else:
    from ravi_agent.container.release import main_on_exit as main

main(sys.argv[2:])
