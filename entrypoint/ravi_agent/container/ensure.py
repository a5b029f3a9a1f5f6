"""Make sure that a workspace is provisioned, by whatever this start has been given."""

import os
import time

from ravi_agent import contract
from ravi_agent.container.provisioned import (
    ADOPTED,
    CREATED,
    FOUND,
    HANDED_OVER,
    load_provisioned,
)
from ravi_agent.container.status import write_status
from ravi_agent.container.stop import StopWatch
from ravi_agent.container.user import ActingAs, AgentUser
from ravi_agent.credential import (
    Credential,
    container_credential,
    no_container_credential,
)
from ravi_agent.errors import SettingsError, WorkspaceError
from ravi_agent.identity import Identity
from ravi_agent.settings import PHONE_REQUIRE, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.handover import Handover
    from ravi_agent.log import Log
    from ravi_agent.workspace.claim import Claim
    from ravi_agent.workspace.credential_files import CredentialFiles

_LOCK_RETRY_S = 0.05


def provision_workspace(
    settings: Settings,
    environ: "Mapping[str, str]",
    user: AgentUser | None,
    log: "Log",
    watch: StopWatch,
    status: str | None,
    *,
    refused_key: str | None = None,
) -> tuple[Identity, str]:
    """Fill a workspace that is not provisioned; if another start is at it, use what that makes.

    status: the status file to keep up to date meanwhile. refused_key: a workspace that holds this
    one gets another for the same identity. Returns the identity and where it came
    from.
    Raises any RaviError; nothing has been created then, or it is found again by its name.
    """
    deadline = time.monotonic() + settings.provision_timeout_s
    handover = None
    if settings.is_handover_expected and refused_key is None:
        handover = _take_handover(deadline)
    credential = None
    if handover is None:
        credential = container_credential(environ)
        if credential is None:
            raise no_container_credential()
    prepare_directory(settings.workspace, user)
    from ravi_agent.workspace.claim import Claim

    given = handover.identity if handover else None
    with ActingAs(user), Claim(settings.workspace) as claim:
        _hold(claim, deadline, watch, is_paid=given is not None)
        _warn(claim.warnings, log)
        known = len(claim.warnings)
        identity = load_provisioned(settings, None)  # by whoever held the claim before
        if identity and (refused_key is None or identity.key != refused_key):
            return identity, FOUND
        files = _credential_files(settings)
        if files:
            files.prove_writable()
        _exclude_from_git(settings.workspace, files.missing() if files else [], log)
        if given:
            identity, origin = _accept(given, settings), HANDED_OVER
        else:
            credential = credential or (handover.credential if handover else None)
            is_fresh = bool(handover and handover.is_fresh)
            identity, origin = _create(
                settings,
                environ,
                credential,
                is_fresh=is_fresh,
                deadline=deadline,
                log=log,
                status=status,
            )
        if origin == ADOPTED and settings.is_name_of_host:
            log.warning(
                f"{identity.name} was there already, and this host's name is all that led to it: "
                "another container or workspace of a host with that name is the same identity",
                "set RAVI_IDENTITY_NAME, one for each agent",
            )
        with watch.uninterrupted:
            claim.save(identity, api_url=settings.api_url, has_api_key=settings.is_api_key_exported)
            if files:
                files.write(identity)
        _warn(claim.warnings[known:], log)
    return identity, origin


def keep_credential_files(
    settings: Settings,
    identity: Identity,
    user: AgentUser | None,
    log: "Log",
    watch: StopWatch,
) -> None:
    """Make a provisioned workspace's credential files again where one is missing or stale.

    Raises WorkspaceError for one that cannot be written or holds something else.
    """
    files = _credential_files(settings)
    if files is None:
        return
    with ActingAs(user):
        if files.are_current(identity):
            return
        from ravi_agent.workspace.claim import Claim

        files.prove_writable()
        with Claim(settings.workspace) as claim:
            _hold(claim, time.monotonic() + settings.provision_timeout_s, watch)
            _exclude_from_git(settings.workspace, files.missing(), log)
            files.write(identity)


def keep_skill_files(
    settings: Settings, user: AgentUser | None, log: "Log", watch: StopWatch
) -> None:
    """Give the coding agents that are asked for their skill file, where it is missing or old.

    What keeps it from being written is a warning.
    """
    if not settings.skill_files:
        return
    from ravi_agent.workspace.claim import Claim
    from ravi_agent.workspace.skill_files import SkillFiles

    skills = SkillFiles(settings.workspace, settings.skill_files, log)
    with ActingAs(user):
        stale = skills.stale()
        if not stale:
            return
        try:
            with Claim(settings.workspace) as claim:
                _hold(claim, time.monotonic() + settings.provision_timeout_s, watch)
                _exclude_from_git(settings.workspace, stale, log)
                skills.write()
        except WorkspaceError as exc:
            log.warning(f"the skill file is missing: {exc}", exc.fix)


def _credential_files(settings: Settings) -> "CredentialFiles | None":
    if not settings.credential_files:
        return None
    from ravi_agent.key_traces import note_trace
    from ravi_agent.workspace.credential_files import CredentialFiles  # most starts need none

    note_trace("RAVI_CREDENTIAL_FILES")  # files of anybody's, whose other lines it reads
    return CredentialFiles(settings.workspace, settings.credential_files)


def _warn(warnings: list[tuple[str, str]], log: "Log") -> None:
    for what, fix in warnings:
        log.warning(what, fix)


def _hold(claim: "Claim", deadline: float, watch: StopWatch, *, is_paid: bool = False) -> None:
    while True:
        with watch.uninterrupted:  # what it tries is removed again
            if claim.is_free(is_paid=is_paid):
                return
        if time.monotonic() > deadline:
            raise WorkspaceError(
                f"workspace {claim.path} is taken",
                "another start has been provisioning it all the time",
                "end that start, or give each agent a workspace of its own",
            )
        time.sleep(_LOCK_RETRY_S)


def _create(
    settings: Settings,
    environ: "Mapping[str, str]",
    credential: Credential | None,
    *,
    is_fresh: bool,
    deadline: float,
    log: "Log",
    status: str | None,
) -> tuple[Identity, str]:
    # What calls the service takes a while to import: only who provisions waits for it.
    from ravi_agent.container.surroundings import is_started_by_engine
    from ravi_agent.service.api import RaviApi
    from ravi_agent.service.provision import Provisioner

    def note_attempt(count: int) -> None:
        write_status(status, phase="provisioning", attempts=count)

    if credential is None:
        raise no_container_credential()
    is_in_container = is_started_by_engine()
    creations = None
    if not is_in_container:  # what a container creates, its launcher counts
        from ravi_agent.container.creations import HostCreations

        creations = HostCreations(settings, environ)
    with RaviApi(settings.api_url, credential) as api:
        provisioner = Provisioner(
            api,
            deadline=deadline,
            phone_policy=settings.phone_policy,
            log=log,
            on_attempt=note_attempt,
            creations=creations,
            is_in_container=is_in_container,
        )
        identity = provisioner.provision(settings.identity_name, is_fresh=is_fresh)
    return identity, ADOPTED if provisioner.has_adopted else CREATED


def _accept(identity: Identity, settings: Settings) -> Identity:
    if settings.is_name_asked_for and identity.name != settings.identity_name:
        raise SettingsError(
            "hand-over on standard input",
            f"it brings {identity.name!r}, this start asks for {settings.identity_name!r}",
            "give both the same name",
        )
    if identity.phone is None and settings.phone_policy == PHONE_REQUIRE:
        raise SettingsError(
            "hand-over on standard input",
            "the identity has no phone number and RAVI_PHONE_POLICY=require",
            "set RAVI_PHONE_POLICY=auto",
        )
    return identity


def prepare_directory(path: str, user: AgentUser | None) -> None:
    """As root: give the agent's user a workspace that it can provision.

    A directory that Docker made for a bind mount belongs to root and is empty: the agent gets it.
    One with files in it stays as it is, and the agent gets `.ravi` alone.
    """
    if user is None:
        return
    from ravi_agent.workspace.claim import make_directories

    with ActingAs(user):
        if _can_make_entries(path):
            return
    try:
        make_directories(path)
        target = path
        if os.listdir(path):
            target = os.path.join(path, contract.RAVI_DIR)
            os.mkdir(target, 0o700)
        os.chown(target, user.uid, user.gid, follow_symlinks=False)
    except OSError:
        return  # what is wrong with it is found, and said, as the agent


def _can_make_entries(path: str) -> bool:
    """Whether this user can, by trying: access(2) is a guess on older engines."""
    trial = os.path.join(path, f"{contract.STAGING_DIR}.{os.getpid()}")
    try:
        os.mkdir(trial, 0o700)
        os.rmdir(trial)
    except OSError:
        return False
    return True


def _exclude_from_git(path: str, files: list[str], log: "Log") -> None:
    from ravi_agent.workspace.claim import exclude_from_git

    try:
        exclude_from_git(path, *files)
    except OSError as exc:
        log.warning(f"git does not ignore {path}/.ravi: {exc}", "echo /.ravi/ >>.git/info/exclude")


def _take_handover(deadline: float) -> "Handover":
    import select

    from ravi_agent.handover import read_handover

    def wait(descriptor: int) -> bool:
        left_s = max(0.0, deadline - time.monotonic())
        return bool(select.select([descriptor], [], [], left_s)[0])

    return read_handover(0, wait)
