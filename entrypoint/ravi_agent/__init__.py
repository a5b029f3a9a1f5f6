"""One Ravi identity per agent container, there before the agent's first instruction."""

__version__ = "0.2.0"
