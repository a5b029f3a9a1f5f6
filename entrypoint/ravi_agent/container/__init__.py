"""What runs in the container: boot makes sure of the identity, supervise runs the agent."""
