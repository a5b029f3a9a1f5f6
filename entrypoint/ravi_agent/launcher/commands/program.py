"""What is known of the program before anything is loaded."""

PROGRAM = "ravi-launch"
# The shell's question for candidates is in it.
COMPLETE_VARIABLE = "_RAVI_LAUNCH_COMPLETE"
