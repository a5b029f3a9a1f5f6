"""One Ravi identity per agent container, there before the agent's first instruction."""

__version__ = "0.1.0"
