# Settings > Repositories > setup script, "parallel" off. The identity is the workspace's, one
# level above its repositories: all of them, and an agent started above them, find it upward.
set -eu
if [ -f "$HOME/.config/ravi.env" ]; then
    # shellcheck source=/dev/null
    . "$HOME/.config/ravi.env"
fi
ravi-init --workspace "$(dirname "$PWD")" --key "vk-$VK_WORKSPACE_ID"
