"""What is sent to create an identity, so that each generation of the service takes it."""


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
