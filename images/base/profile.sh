# shellcheck shell=sh
# Login shells and `docker exec … sh -lc` find what the agent got at its start.
# Read, never sourced: the agent owns the file, and a shell of root's may come by.
_ravi_env="${RAVI_WORKSPACE:-/workspace}/.ravi/env"
if [ -r "$_ravi_env" ] && [ ! -L "$_ravi_env" ]; then
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
unset _ravi_env _ravi_line _ravi_name _ravi_value
case :$PATH: in
*:/opt/ravi/fallback:*) ;;
*) export PATH="$PATH:/opt/ravi/fallback" ;;
esac
