"""Kubernetes as an engine: one Indexed Job a run, with `ravi-init` before each agent."""
