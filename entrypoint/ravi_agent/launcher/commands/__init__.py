"""The commands of `ravi-launch`: what was typed, checked and passed on."""
