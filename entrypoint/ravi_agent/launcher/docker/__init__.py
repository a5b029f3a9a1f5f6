"""Docker as an engine: one container an agent."""
