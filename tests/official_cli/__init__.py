"""What the official CLI (ravi-hq/cli v0.6.2) takes and sends, told as facts; none of its code."""
