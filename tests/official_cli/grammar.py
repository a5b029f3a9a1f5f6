"""The commands and flags of the official CLI v0.6.2, and what each answer is printed as.

Read from its help and its public source; everything that is not here, it refuses. Standard library
alone: the stand-in runs in images, too.
"""

TEXT, SWITCH, NUMBER, LIST = "text", "switch", "number", "list"
# It prints every field of these, with the empty value where the service sent none.
_DATED = {"created_dt": "", "updated_dt": ""}
SHAPES: "dict[str, dict[str, object]]" = {
    "Identity": {"uuid": "", "name": "", "inbox": "", "phone": "", **_DATED},
    "Domain": {
        "uuid": "",
        "domain": "",
        "is_platform": False,
        "is_verified": False,
        "created_dt": "",
    },
    "Email": {"id": 0, "email": "", "created_dt": ""},
    "Phone": {"id": 0, "phone_number": "", "provider": "", "created_dt": ""},
    "Owner": {"first_name": "", "last_name": ""},
    "Mail": {
        "id": 0,
        "url": "",
        "from_email": "",
        "to_email": "",
        "cc": "",
        "subject": "",
        "text_content": "",
        "html_content": "",
        "direction": "",
        "is_read": False,
        "attachments": None,
        "message_id": "",
        "thread_id": "",
        "created_dt": "",
    },
    "Thread": {
        "thread_id": "",
        "subject": "",
        "preview": "",
        "from_email": "",
        "inbox": "",
        "message_count": 0,
        "unread_count": 0,
        "latest_message_dt": "",
        "oldest_message_dt": "",
    },
    "WholeThread": {"thread_id": "", "subject": "", "message_count": 0, "messages": None},
    "Sms": {
        "id": 0,
        "url": "",
        "from_number": "",
        "to_number": "",
        "body": "",
        "message_sid": "",
        "phone": "",
        "direction": "",
        "is_read": False,
        "created_dt": "",
    },
    "Conversation": {
        "conversation_id": "",
        "from_number": "",
        "phone": "",
        "phone_number": "",
        "preview": "",
        "message_count": 0,
        "unread_count": 0,
        "latest_message_dt": "",
    },
    "WholeConversation": {
        "conversation_id": "",
        "from_number": "",
        "phone": "",
        "message_count": 0,
        "messages": None,
    },
    "Password": {"uuid": "", "domain": "", "username": "", "password": "", "notes": "", **_DATED},
    "Generated": {"password": ""},
    "Secret": {"uuid": "", "key": "", "value": "", "notes": "", **_DATED},
    "Contact": {
        "uuid": "",
        "email": "",
        "phone_number": "",
        "display_name": "",
        "nickname": "",
        "is_trusted": False,
        "source": "",
        "interaction_count": 0,
        "last_interaction_dt": "",
        **_DATED,
    },
    "SsoToken": {"token": "", "expires_at": ""},
}


class Command:
    """One command: its flags by kind, those it needs, and how many arguments it takes.

    arguments: exactly so many; None: it does not count them.
    """

    def __init__(
        self,
        flags: "dict[str, str] | None" = None,
        required: "tuple[str, ...]" = (),
        arguments: "int | None" = None,
    ) -> None:
        self.flags = {"human": SWITCH, "help": SWITCH, **(flags or {})}
        self.required = required
        self.arguments = arguments


_UNREAD = {"unread": SWITCH}
_COPIES = {"body": TEXT, "cc": TEXT, "bcc": TEXT, "attach": LIST}
_GENERATOR = {
    "length": NUMBER,
    "no-special": SWITCH,
    "no-digits": SWITCH,
    "exclude-chars": TEXT,
}
_PASSWORD = {"username": TEXT, "password": TEXT, "notes": TEXT}
_CONTACT = {
    "email": TEXT,
    "phone": TEXT,
    "display-name": TEXT,
    "nickname": TEXT,
    "trusted": SWITCH,
}
COMMANDS = {
    "version": Command(),
    "auth login": Command(),
    "auth logout": Command(),
    "auth status": Command(),
    "identity list": Command(),
    "identity create": Command({"name": TEXT, "email": TEXT, "provision-phone": SWITCH}),
    "identity use": Command(arguments=1),
    "get email": Command(),
    "get phone": Command(),
    "get owner": Command(),
    "domains": Command(),
    "inbox email": Command(_UNREAD),
    "inbox sms": Command(_UNREAD),
    "message email": Command(_UNREAD),
    "message sms": Command(_UNREAD),
    "email compose": Command(
        {"to": TEXT, "subject": TEXT, **_COPIES}, required=("body", "subject", "to")
    ),
    "email reply": Command(_COPIES, required=("body",), arguments=1),
    "email reply-all": Command(_COPIES, required=("body",), arguments=1),
    "email forward": Command({"to": TEXT, **_COPIES}, required=("body", "to"), arguments=1),
    "passwords list": Command(),
    "passwords get": Command(arguments=1),
    "passwords create": Command({**_PASSWORD, "generate": SWITCH, **_GENERATOR}, arguments=1),
    "passwords update": Command({"domain": TEXT, **_PASSWORD}, arguments=1),
    "passwords delete": Command(arguments=1),
    "passwords generate": Command(_GENERATOR),
    "secrets list": Command(),
    "secrets get": Command(arguments=1),
    "secrets set": Command(arguments=2),
    "secrets delete": Command(arguments=1),
    "contacts list": Command(),
    "contacts search": Command(arguments=1),
    "contacts get": Command(arguments=1),
    "contacts create": Command(_CONTACT),
    "contacts update": Command(_CONTACT, arguments=1),
    "contacts delete": Command(arguments=1),
    "sso token": Command(),
    "feedback": Command({"subject": TEXT}, arguments=1),
}
GROUPS = {words.split()[0] for words in COMMANDS if " " in words}


class Refused(Exception):  # noqa: N818 - what the CLI says no to
    """The message that the CLI ends with, with exit code 1."""


def parse(argv: "list[str]") -> "tuple[str, list[str], dict[str, object]]":
    """The command of a command line, its arguments and flags; Refused as the CLI refuses.

    A group without one of its commands is "" and shows help, with exit code 0.
    """
    words: list[str] = []
    rest = list(argv)
    while rest and not rest[0].startswith("-") and len(words) < 2:
        candidate = " ".join([*words, rest[0]])
        if candidate not in COMMANDS and candidate not in GROUPS:
            break
        words.append(rest.pop(0))
    name = " ".join(words)
    if name not in COMMANDS:
        if not words and rest and not rest[0].startswith("-"):
            raise Refused(f'unknown command "{rest[0]}" for "ravi"')
        _flags(Command(), rest)
        return "", [], {}
    command = COMMANDS[name]
    arguments, flags = _flags(command, rest)
    if flags.get("help"):
        return "", [], {}
    if command.arguments is not None and len(arguments) != command.arguments:
        raise Refused(f"accepts {command.arguments} arg(s), received {len(arguments)}")
    if missing := [flag for flag in command.required if flag not in flags]:
        quoted = ", ".join(f'"{flag}"' for flag in missing)
        raise Refused(f"required flag(s) {quoted} not set")
    return name, arguments, flags


def _flags(command: Command, words: "list[str]") -> "tuple[list[str], dict[str, object]]":
    arguments: list[str] = []
    flags: dict[str, object] = {}
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            arguments += waiting
            break
        if word == "-h":
            word = "--help"
        if not word.startswith("-") or word == "-":
            arguments.append(word)
            continue
        if not word.startswith("--"):
            raise Refused(f"unknown shorthand flag: {word[1]!r} in {word}")
        name, equals, value = word[2:].partition("=")
        kind = command.flags.get(name)
        if kind is None:
            raise Refused(f"unknown flag: --{name}")
        if kind == SWITCH:
            flags[name] = _switch(name, value) if equals else True
            continue
        if not equals:
            if not waiting:
                raise Refused(f"flag needs an argument: --{name}")
            value = waiting.pop(0)
        _set(flags, name, kind, value)
    return arguments, flags


def _set(flags: "dict[str, object]", name: str, kind: str, value: str) -> None:
    if kind == LIST:
        given = flags.setdefault(name, [])
        assert isinstance(given, list)
        given += value.split(",")
    elif kind == NUMBER:
        try:
            flags[name] = int(value)
        except ValueError:
            raise Refused(f'invalid argument "{value}" for "--{name}" flag') from None
    else:
        flags[name] = value


def _switch(name: str, value: str) -> bool:
    known = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
    if value.lower() not in known:
        raise Refused(f'invalid argument "{value}" for "--{name}" flag')
    return known[value.lower()]
