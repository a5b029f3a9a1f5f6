"""Ravi over HTTP: the REST client, what its answers mean, from a name to an identity."""
