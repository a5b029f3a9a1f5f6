"""Creating an identity: what is sent, so that each generation takes it, and who is asked before."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object  # typing takes a start 15 million instructions


class Creations(Protocol):
    """Who may say no before an identity is paid for."""

    def reserve(self, name: str) -> None:
        """An identity is about to be created; raises a RaviError where it must not be."""

    def cancel(self, name: str) -> None:
        """Surely none was created."""


class AnyNumber:
    """Lets every creation through."""

    def reserve(self, name: str) -> None:
        pass

    def cancel(self, name: str) -> None:
        pass


def creation_body(
    name: str | None, *, email: str | None = None, with_phone: bool = False
) -> dict[str, object]:
    """The body of `POST /api/identities/`; the service chooses what is None.

    email: a local part, or a whole address on a domain of the account. The older service reads
    `email`, the newest `email_identifier` and `domain`; each ignores what it does not know.
    """
    body: dict[str, object] = {}
    if name is not None:
        body["name"] = name
    if email is not None:
        local_part, _, domain = email.partition("@")
        body["email"] = email
        body["email_identifier"] = local_part
        if domain:
            body["domain"] = domain
    if with_phone:
        body["provision_phone"] = True
    return body
