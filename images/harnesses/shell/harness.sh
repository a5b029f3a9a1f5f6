#!/usr/bin/env bash
# One task, one Ravi identity, one workspace: harness.sh TASK_ID [WORKSPACE]
# Runs `run-agent.sh` of the workspace, and leaves with its code. Needs `ravi` and `jq`.
set -euo pipefail

task_id=${1:?TASK_ID required}
workspace=${2:-/tmp/ravi-workspace-$task_id}

# check_owner PATH TEST...: end where somebody else made it, or find's TEST says they can change it.
check_owner() {
    if [ -n "$(find "$1" -prune \( -uid 0 -o -uid "$(id -u)" \) "${@:2}")" ]; then
        return
    fi
    echo "harness.sh: error: $1: another user can decide what runs there" >&2
    echo "  fix: harness.sh $(printf '%q' "$task_id") DIRECTORY, one that only you can write" >&2
    exit 1
}

(umask 077 && mkdir -p -- "$workspace")
workspace=$(cd -- "$(dirname -- "$workspace")" && pwd)/$(basename -- "$workspace")
check_owner "$workspace" # a link that somebody else has put here, too
workspace=$(cd -- "$workspace" && pwd -P)
# The agent can call with the account's key. Anybody may have made a directory in /tmp, and could
# have put an agent into it.
if [ ! -x "$workspace/run-agent.sh" ]; then
    echo "harness.sh: error: $workspace/run-agent.sh: no program" >&2
    echo "  fix: put your agent there, and chmod +x it" >&2
    exit 1
fi
for path in "$workspace" "$(readlink -f -- "$workspace/run-agent.sh")"; do
    check_owner "$path" ! -perm -002
done
folder=$workspace
until [ "$folder" = / ]; do
    folder=$(dirname -- "$folder")
    check_owner "$folder" \( ! -perm -002 -o -perm -1000 \)
done

# Taken before anything is paid for: a second harness on the same workspace ends here.
config_dir=$workspace/.ravi
mkdir -m 0700 -- "$config_dir"
scope=$(mktemp -d)
trap 'rm -rf -- "$config_dir" "$scope"' EXIT

identity=$(ravi identity create --name "task-$task_id")
identity_uuid=$(jq -r '.uuid' <<<"$identity")
identity_email=$(jq -r '.inbox' <<<"$identity")
# Where there is no number this is empty; `jq -r .phone` alone would say "null".
identity_phone=$(jq -r '.phone // empty' <<<"$identity")

umask 077
case $(ravi version) in
*ravi-agent-base*) jq -n --arg uuid "$identity_uuid" '{identity_uuid: $uuid}' ;;
*)  # The official CLI needs the identity's key, and rewrites the configuration it read to get one.
    mkdir -- "$scope/.ravi"
    cp -- ~/.ravi/config.json "$scope/.ravi/"
    (cd -- "$scope" && ravi identity use "$identity_uuid" >/dev/null)
    jq '{identity_uuid, identity_name, identity_key}' "$scope/.ravi/config.json"
    ;;
esac >"$config_dir/config.json"
rm -rf -- "$scope"

# From the workspace: the official CLI looks for `.ravi` in the current directory, and nowhere else.
email=$(cd -- "$workspace" && RAVI_CONFIG_DIR=$config_dir ravi get email | jq -r '.email')
if [ "$email" != "$identity_email" ]; then
    echo "harness.sh: error: the workspace answers for $email, not for $identity_email" >&2
    exit 1
fi

cd -- "$workspace"
RAVI_CONFIG_DIR=$config_dir RAVI_EMAIL=$identity_email RAVI_PHONE=$identity_phone ./run-agent.sh
