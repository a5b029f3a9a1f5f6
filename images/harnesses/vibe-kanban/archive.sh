# Settings > Repositories > archive script. Not the cleanup script: that runs after every turn.
set -eu
if [ -f "$HOME/.config/ravi.env" ]; then
    # shellcheck source=/dev/null
    . "$HOME/.config/ravi.env"
fi
ravi-release --workspace "$(dirname "$PWD")" --key "vk-$VK_WORKSPACE_ID" --delete
