# shellcheck shell=sh
# shellcheck disable=SC3067 # dash, bash, busybox, ksh and zsh all have -O
# Login shells and `docker exec … sh -lc` get what the agent got at its start.
# Read, never sourced: the agent owns its file. root does not even open that: there could be a pipe
# in its place, or another service for the account's key. PID 1 leaves a copy for root in /run.
_ravi_dir="${RAVI_WORKSPACE:-/workspace}/.ravi"
_ravi_env=$_ravi_dir/env
if [ -O / ]; then # this is root
    if [ -f /run/ravi.env ] && [ -O /run/ravi.env ]; then
        _ravi_env=/run/ravi.env
    elif [ ! -O "$_ravi_dir" ] || [ ! -O "$_ravi_env" ]; then
        _ravi_env= # the agent is another user
    fi
fi
if [ -f "$_ravi_env" ] && [ -r "$_ravi_env" ] && [ ! -L "$_ravi_env" ] && [ ! -L "$_ravi_dir" ]; then
    while IFS= read -r _ravi_line; do
        _ravi_name=${_ravi_line%%=*}
        _ravi_value=${_ravi_line#*=}
        _ravi_value=${_ravi_value#\'}
        _ravi_value=${_ravi_value%\'}
        case $_ravi_name in
        RAVI_CONFIG_DIR | RAVI_EMAIL | RAVI_PHONE | RAVI_IDENTITY_UUID | RAVI_IDENTITY_NAME | RAVI_API_URL | RAVI_API_KEY)
            export "$_ravi_name=$_ravi_value"
            ;;
        esac
    done <"$_ravi_env"
fi
unset _ravi_dir _ravi_env _ravi_line _ravi_name _ravi_value
case :$PATH: in
*:/opt/ravi/fallback:*) ;;
*) export PATH="$PATH:/opt/ravi/fallback" ;;
esac
