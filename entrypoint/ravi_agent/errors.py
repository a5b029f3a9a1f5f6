"""Everything a user can run into, with the exit code of each.

RaviError
├── AbsentError            1  the identity has no such thing
├── UsageError            64  the command line does not say what to do
├── SettingsError         78  a setting is missing, wrong or given twice
├── WorkspaceError        73  the workspace cannot be used
├── UnreachableError      69  no answer in time
│   ├── NotSentError          the request surely never reached the service
│   └── OutcomeUnknownError   it may have been carried out
├── ThrottledError        75  the service said: later
├── TimeUpError           75  what was waited for did not come
├── LimitError            75  the host has created as many identities as it may, for now
├── AnswerError           76  an answer that makes no sense
├── RefusedError          77  the service said no
└── EngineError           69  the container engine failed (launcher)
"""

from ravi_agent import contract

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar, Self


class RaviError(Exception):
    """A failure with a cause and, where there is one, a remedy to type.

    what: the thing that failed. why: the cause. fix: what to type or change.
    No part may ever hold a key.
    """

    exit_code: "ClassVar[int]" = contract.EXIT_BUG

    def __init__(self, what: str, why: str, fix: str | None = None) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.fix = fix

    def restated(self, what: str) -> "Self":
        """The same error of something larger that failed by it."""
        self.what = what
        self.args = (f"{what}: {self.why}",)
        return self

    def lines(self, program: str) -> str:
        """The message as it is printed: cause on the first line, remedy on the second."""
        text = f"{program}: error: {self}\n"
        return f"{text}  fix: {self.fix}\n" if self.fix else text

    def line(self, program: str) -> str:
        """The same on one line, for places that show no more."""
        return f"{program}: error: {self}" + (f"; fix: {self.fix}" if self.fix else "")


class AbsentError(RaviError):
    """The identity has no such thing; the public CLI exits with the same code."""

    exit_code = contract.EXIT_ABSENT


class UsageError(RaviError):
    """The command line does not say what to do."""

    exit_code = contract.EXIT_USAGE


class SettingsError(RaviError):
    """A setting is missing, wrong or given twice."""

    exit_code = contract.EXIT_SETTINGS


class WorkspaceError(RaviError):
    """The workspace cannot be read, written or trusted."""

    exit_code = contract.EXIT_WORKSPACE


class UnreachableError(RaviError):
    """The service gave no usable answer in time."""

    exit_code = contract.EXIT_UNREACHABLE


class NotSentError(UnreachableError):
    """The request surely never reached the service, so it may be sent again.

    is_final: trying again cannot help (a certificate that does not verify).
    """

    def __init__(
        self, what: str, why: str, fix: str | None = None, *, is_final: bool = False
    ) -> None:
        super().__init__(what, why, fix)
        self.is_final = is_final


class OutcomeUnknownError(UnreachableError):
    """The request was sent and may have been carried out.

    may_still_run: the service might be working on it even now (a time-out).
    retry_after_s: in seconds, None where the service did not say.
    """

    def __init__(
        self,
        what: str,
        why: str,
        fix: str | None = None,
        *,
        may_still_run: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(what, why, fix)
        self.may_still_run = may_still_run
        self.retry_after_s = retry_after_s


class ThrottledError(RaviError):
    """The service asked to wait; `retry_after_s` in seconds, None where it did not say."""

    exit_code = contract.EXIT_THROTTLED

    def __init__(
        self, what: str, why: str, fix: str | None = None, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(what, why, fix)
        self.retry_after_s = retry_after_s


class TimeUpError(RaviError):
    """What was waited for did not come in time."""

    exit_code = contract.EXIT_THROTTLED


class LimitError(RaviError):
    """This host has created as many identities as it may; nothing was paid for."""

    exit_code = contract.EXIT_THROTTLED


class AnswerError(RaviError):
    """The service answered something that is not what it documents."""

    exit_code = contract.EXIT_ANSWER

    def __init__(self, what: str, why: str, fix: str | None = None) -> None:
        super().__init__(what, why, fix or "check that RAVI_API_URL names the service's root")


class RefusedError(RaviError):
    """The service said no, with HTTP status `status`; asking again changes nothing.

    code: the service's own name for the cause, "" where it gives none. fields: the parts of the
    request that it names.
    """

    exit_code = contract.EXIT_REFUSED

    def __init__(
        self,
        what: str,
        why: str,
        fix: str | None = None,
        *,
        status: int,
        code: str = "",
        fields: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what, why, fix)
        self.status = status
        self.code = code
        self.fields = fields


class EngineError(RaviError):
    """The container engine is not there, or did not do what it was asked."""

    exit_code = contract.EXIT_UNREACHABLE
