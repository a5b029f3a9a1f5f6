"""What one phase of PID 1 tells the next on its command line: written and read here.

boot → supervise: `key=value` words, `--`, the agent's command. supervise → release: the agent's
exit code, then `NAME=value` words. Every process of the container can read both in
/proc/1/cmdline, so no word is a secret; none can change them, so release believes them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Which processes get a signal. Stop signals go to the agent's group and all others to the agent;
# all to the agent; all to the group.
SCOPE_STOP, SCOPE_AGENT, SCOPE_GROUP = "stop", "agent", "group"
# Begins the words of supervise's command line that it passes on to release.
_ON_EXIT = "on-exit."

AgentIds = tuple[int, int, list[int]]  # uid, gid, supplementary groups


class Options:
    """How supervise runs the agent.

    log: level and format. signal_map and exit_remap: numbers by number. status_path: the status
    file, None for none. user: ids to run the agent as, None to stay. on_exit: what release is told
    once the agent has ended; with nothing in it there is no release phase. parent: the pid of the
    process whose end ends the agent, None for nobody's. start_hook, stop_hook: programs, None for
    none. agent: its pid where it runs already. held: a descriptor to keep open, None for none.
    is_confined: it gets no more rights than it starts with. timeout_s: how long it may run, None
    for ever. is_telling: a launcher listens, and is told what the container has used.
    """

    __slots__ = (
        "agent",
        "command",
        "exit_remap",
        "grace_s",
        "held",
        "is_confined",
        "is_telling",
        "log",
        "on_exit",
        "parent",
        "signal_map",
        "signal_scope",
        "start_hook",
        "status_path",
        "stop_hook",
        "timeout_s",
        "user",
    )

    def __init__(
        self,
        command: list[str],
        *,
        grace_s: float,
        log: tuple[str, str] = ("info", "text"),
        signal_scope: str = SCOPE_STOP,
        signal_map: "Mapping[int, int] | None" = None,
        exit_remap: "Mapping[int, int] | None" = None,
        status_path: str | None = None,
        user: AgentIds | None = None,
        on_exit: "Mapping[str, str] | None" = None,
        start_hook: str | None = None,
        stop_hook: str | None = None,
    ) -> None:
        self.command = command
        self.grace_s = grace_s
        self.log = log
        self.signal_scope = signal_scope
        self.signal_map = signal_map or {}
        self.exit_remap = exit_remap or {}
        self.status_path = status_path
        self.user = user
        self.on_exit = on_exit or {}
        self.start_hook = start_hook
        self.stop_hook = stop_hook
        self.parent: int | None = None
        self.agent: int | None = None
        self.held: int | None = None
        self.is_confined = False
        self.timeout_s: float | None = None
        self.is_telling = False

    def to_words(self) -> list[str]:
        """The command line of supervise."""
        words = [
            f"grace={self.grace_s}",
            f"log={':'.join(self.log)}",
            f"scope={self.signal_scope}",
            f"signals={_encode_pairs(self.signal_map)}",
            f"exits={_encode_pairs(self.exit_remap)}",
            f"status={self.status_path or ''}",
        ]
        if self.user:
            uid, gid, groups = self.user
            words.append(f"user={uid}:{gid}:{','.join(map(str, groups))}")
        more = {
            "parent": self.parent,
            "start": self.start_hook,
            "stop": self.stop_hook,
            "agent": self.agent,
            "held": self.held,
            "confined": self.is_confined or None,
            "timeout": self.timeout_s,
            "telling": self.is_telling or None,
        }
        words += [f"{name}={value}" for name, value in more.items() if value is not None]
        words += [f"{_ON_EXIT}{name}={value}" for name, value in self.on_exit.items()]
        return [*words, "--", *self.command]

    @classmethod
    def from_words(cls, words: list[str]) -> "Options":
        """The options that `to_words` has written."""
        end = words.index("--")
        values = dict(word.split("=", 1) for word in words[:end])
        level, _, form = values["log"].partition(":")
        user = None
        if "user" in values:
            uid, gid, groups = values["user"].split(":")
            user = int(uid), int(gid), [int(group) for group in groups.split(",") if group]
        options = cls(
            words[end + 1 :],
            grace_s=float(values["grace"]),
            log=(level, form),
            signal_scope=values["scope"],
            signal_map=_decode_pairs(values["signals"]),
            exit_remap=_decode_pairs(values["exits"]),
            status_path=values["status"] or None,
            user=user,
            start_hook=values.get("start"),
            stop_hook=values.get("stop"),
            on_exit={
                name.removeprefix(_ON_EXIT): value
                for name, value in values.items()
                if name.startswith(_ON_EXIT)
            },
        )
        options.parent = int(values["parent"]) if "parent" in values else None
        options.agent = int(values["agent"]) if "agent" in values else None
        options.held = int(values["held"]) if "held" in values else None
        options.is_confined = "confined" in values
        options.timeout_s = float(values["timeout"]) if "timeout" in values else None
        options.is_telling = "telling" in values
        return options


def to_release_words(code: int, on_exit: "Mapping[str, str]") -> list[str]:
    """The command line of release. code: what the container ends with."""
    return [str(code), *(f"{name}={value}" for name, value in on_exit.items())]


def from_release_words(words: list[str]) -> tuple[int, dict[str, str]]:
    """The exit code and the values that `to_release_words` has written."""
    return int(words[0]), dict(word.split("=", 1) for word in words[1:])


def _encode_pairs(mapping: "Mapping[int, int]") -> str:
    return ",".join(f"{left}:{right}" for left, right in mapping.items())


def _decode_pairs(text: str) -> dict[int, int]:
    pairs = (pair.split(":") for pair in text.split(",") if pair)
    return {int(left): int(right) for left, right in pairs}
