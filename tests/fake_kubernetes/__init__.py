"""A Kubernetes API server for tests, and what plays the controllers behind it."""
