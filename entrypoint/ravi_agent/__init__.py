"""One Ravi identity per agent container, there before the agent's first instruction."""
