# Settings > Repositories > archive script. Not the cleanup script: that runs after every turn.
ravi-release --workspace "$(dirname "$PWD")" --key "vk-$VK_WORKSPACE_ID" --delete
