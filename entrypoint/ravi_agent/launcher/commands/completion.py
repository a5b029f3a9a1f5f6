"""`ravi-launch completion`: the script that completes `ravi-launch` in a shell.

Each script runs `ravi-launch` itself, with what is typed so far in COMP_WORDS and the position of
the cursor in COMP_CWORD; `completions.answer` prints one candidate a line. Where it prints none,
the shell offers files.
"""

from dataclasses import dataclass

from ravi_agent.launcher.commands.flags import Call, Command, argument
from ravi_agent.launcher.commands.program import COMPLETE_VARIABLE as VARIABLE

_BASH = f"""\
_ravi_launch() {{
    local IFS=$'\\n'
    COMPREPLY=($(env COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD="$COMP_CWORD" \\
        {VARIABLE}=complete_bash "$1" 2>/dev/null))
}}
complete -o default -F _ravi_launch ravi-launch
"""
# `_describe` takes VALUE:DESCRIPTION. Loaded from a directory of $fpath the file is the function.
_ZSH = f"""\
#compdef ravi-launch
_ravi_launch() {{
    local -a found
    found=("${{(@f)$(env COMP_WORDS="${{words[*]}}" COMP_CWORD=$((CURRENT-1)) \\
        {VARIABLE}=complete_zsh ravi-launch 2>/dev/null)}}")
    if [[ -n "$found" ]]; then
        _describe -V ravi-launch found
    else
        _files
    fi
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _ravi_launch "$@"
else
    compdef _ravi_launch ravi-launch
fi
"""
_FISH = f"""\
function __ravi_launch
    set -l found (env COMP_WORDS=(commandline -cp | string collect) \\
        COMP_CWORD=(commandline -ct | string collect) \\
        {VARIABLE}=complete_fish ravi-launch 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command ravi-launch --no-files --arguments '(__ravi_launch)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """Which shell."""

    shell: str = argument("SHELL", choices=tuple(_SCRIPTS), help="The shell: bash, zsh or fish.")


def completion(options: CompletionOptions, _: Call) -> int:
    """Print the script."""
    print(_SCRIPTS[options.shell], end="")
    return 0


COMMAND = Command(
    name="completion",
    summary="Print the completion script of a shell: source <(ravi-launch completion bash)",
    options=CompletionOptions,
    execute=completion,
)
