#!/bin/sh
# lalph's scripts/worktree-setup.sh, committed to the target branch. Your own steps go to its end.
#
# lalph ignores what this leaves with, starts the agent, and takes an agent that refuses to start
# for "no more work": it disables the project and leaves with 0. So where there is no identity,
# lalph is told in the two ways it understands: a set-up that a signal ended is an iteration that
# failed, tried again after 10 s (the service cannot be reached), and an interrupt stops lalph with
# code 130 (anything else, which would not go away).
set -u
if [ -f "$HOME/.config/ravi.env" ]; then
    # shellcheck source=/dev/null
    . "$HOME/.config/ravi.env"
fi
# An iteration's work tree goes without a hook: the next one takes its identity over.
ravi-init --workspace "$PWD" --key auto --reuse
code=$?
if [ "$code" != 0 ]; then
    child=$$
    parent=$PPID
    while [ "$parent" -gt 1 ]; do
        case $(ps -o args= -p "$parent") in
        node\ *lalph* | */node\ *lalph* | bun\ *lalph* | */bun\ *lalph*)
            if [ "$code" = 69 ]; then
                kill -TERM "$child"
            else
                kill -INT "$parent"
            fi
            break
            ;;
        esac
        child=$parent
        parent=$(ps -o ppid= -p "$parent" | tr -d ' ')
    done
    exit "$code"
fi
