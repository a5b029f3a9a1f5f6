"""What an identity costs, beside its rivals, on one machine in the same minutes: `make bench`."""
