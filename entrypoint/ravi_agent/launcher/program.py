"""The console script `ravi-launch`: checks that its extra is installed before it imports it."""

from ravi_agent import extras
from ravi_agent.container.failure import run

PROGRAM = "ravi-launch"


def main() -> None:
    """Leaves with 78 where a package of the extra is missing, else as `cli.main` does."""
    run(PROGRAM, _launch)


def _launch() -> int:
    extras.require(PROGRAM, "launch", extras.LAUNCH)
    from ravi_agent.launcher import cli

    return cli.main()
