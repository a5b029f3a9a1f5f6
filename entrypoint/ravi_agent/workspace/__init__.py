"""`.ravi/` and what harnesses read beside it: written, read, trusted and removed."""
