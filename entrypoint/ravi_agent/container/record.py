"""What a start on a host notes in the ledger: whose a workspace is, for when it is gone."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.identity import Identity
    from ravi_agent.log import Log
    from ravi_agent.settings import Settings


def record(
    settings: "Settings",
    environ: "Mapping[str, str]",
    identity: "Identity",
    origin: str,
    log: "Log",
) -> None:
    """Record the identity of a workspace and where it came from (`ensure`'s words)."""
    from ravi_agent.container.provisioned import ADOPTED, CREATED, FOUND
    from ravi_agent.workspace import ledger

    if origin == FOUND and identity.name != settings.identity_name:
        return  # whoever can write the workspace says so, and nobody else
    actions = {CREATED: [ledger.CREATE, ledger.KEY], ADOPTED: [ledger.ADOPT, ledger.KEY]}
    try:
        for action in actions.get(origin, [ledger.USE]):
            if action == ledger.KEY and not identity.key:
                continue
            ledger.note(
                environ,
                action,
                identity,
                settings.api_url,
                workspace=settings.workspace,
                run=environ.get("RAVI_RUN") or None,
            )
    except OSError as exc:
        log.warning(
            f"the ledger cannot be written: {exc}",
            "set XDG_STATE_HOME to a directory that can be written; until then delete the "
            "identity by its name",
        )
