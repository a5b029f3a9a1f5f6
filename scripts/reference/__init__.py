"""Writes docs/reference/ from the code, so that the reference cannot say anything else."""
