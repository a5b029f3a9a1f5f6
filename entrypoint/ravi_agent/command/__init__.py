"""The `ravi` command: what the published examples call, where no official CLI is installed."""
