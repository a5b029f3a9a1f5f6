"""What both engines share: agents and their states, what a run costs."""
