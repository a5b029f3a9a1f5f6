#!/bin/sh
# lalph's scripts/worktree-setup.sh, committed to the target branch. lalph starts the agent even if
# this fails; the command prefix then refuses to.
set -eu
ravi-init --workspace "$PWD" --key auto
