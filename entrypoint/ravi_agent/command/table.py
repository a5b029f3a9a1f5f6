"""The commands of `ravi`: those of the official CLI (v0.6.2), its older words, and our own.

A new command is a line here: the parser, the help and the tests read this table.
"""

from ravi_agent.command import calls, identities, messages
from ravi_agent.command.calls import rest
from ravi_agent.command.wait import wait_for_message
from ravi_agent.command.words import Command, Table

_NAME = ("--name NAME  the one of that name", "--uuid UUID  the one of that UUID")
_UNREAD = "--unread  only with something unread"
_COPIES = (
    "--cc ADDRESSES  with commas between them",
    "--bcc ADDRESSES  with commas between them",
    "--attach FILE*  a file to attach, 10 MB at most; may be given again",
)
_MAIL = ("--to ADDRESS!  recipient", "--subject TEXT!  subject", "--body TEXT!  text or HTML")
_REPLY = (
    "ID!  the mail to answer, as `ravi message email` lists it",
    "--body TEXT!  text or HTML",
    *_COPIES,
    "--subject TEXT  what older services want",
)
_SMS = ("--to NUMBER!  recipient, as +15551234567", "--body TEXT!  the text")
_PASSWORD = (
    "--length NUMBER  characters",
    "--no-special  letters and digits alone",
    "--no-digits  without digits",
    "--exclude-chars CHARS  without these",
)
_ENTRY = {"domain": "domain", "username": "username", "password": "password", "notes": "notes"}
_CONTACT = {
    "email": "email",
    "phone_number": "phone",
    "display_name": "display-name",
    "nickname": "nickname",
    "is_trusted": "trusted",
}
_CONTACT_FLAGS = (
    "--email ADDRESS  mail address",
    "--phone NUMBER  phone number",
    "--display-name NAME  name",
    "--nickname NAME  short name",
    "--trusted  or --trusted=false",
)
_UUID = "UUID!  which one, as `list` shows it"
_update_password = rest("PATCH", "passwords/{uuid}/", body=_ENTRY, flags="a flag to change")

TOPICS = {
    "identity": "Identities of the account.",
    "get": "What this identity has.",
    "inbox": "Threads and conversations, and waiting for a message.",
    "message": "Single messages.",
    "email": "Send mail.",
    "sms": "Send SMS.",
    "passwords": "Website passwords of this identity.",
    "secrets": "Key-value secrets of this identity; `vault` is the same.",
    "contacts": "Contacts of this identity.",
    "sso": "Proof of this identity to a third party.",
    "auth": "Who calls.",
}

TABLE = Table(
    (
        Command(
            "inbox wait",
            wait_for_message,
            "wait for a mail or SMS that matches, print it and mark it as read; 75 when time is up",
            "--email  only mail",
            "--sms  only SMS",
            "--from TEXT  the sender has this, or matches /regex/",
            "--subject TEXT  the subject has this, or matches /regex/",
            "--body TEXT  the text has this, or matches /regex/",
            "--code  print only the code, and pass over messages without one",
            "--link  print only the verification link, and pass over messages without one",
            "--timeout TIME  such as 90, 60s, 5m or 1h (60s)",
            "--since TIME  such as 10m (ago), 2026-01-31T09:00:00Z or all; the start of the agent",
            "--no-mark-read  leave it unread: the next wait finds it again",
        ),
        Command("inbox list", messages.list_inbox, "email and sms together", _UNREAD),
        Command(
            "inbox email",
            messages.reader("email-inbox", "has_unread=true"),
            "email threads, or one with its messages",
            "ID  one thread",
            _UNREAD,
        ),
        Command(
            "inbox sms",
            messages.reader("sms-inbox", "has_unread=true"),
            "SMS conversations, or one with its messages",
            "ID  one conversation",
            _UNREAD,
        ),
        Command(
            "message email",
            messages.message_email,
            "mails, one of them, or with --to a new one",
            "ID  one mail",
            _UNREAD,
            *(line.replace("!", "") for line in _MAIL),
            *_COPIES,
        ),
        Command(
            "message sms",
            messages.reader("messages", "is_read=false"),
            "SMS, or one",
            "ID  one SMS",
            _UNREAD,
        ),
        Command("message send", messages.send_sms, "send an SMS", *_SMS),
        Command("sms send", messages.send_sms, "send an SMS", *_SMS),
        Command("email compose", messages.compose, "send a new mail", *_MAIL, *_COPIES),
        Command("email reply", messages.answering("reply"), "answer the sender", *_REPLY),
        Command("email reply-all", messages.answering("reply-all"), "answer everybody", *_REPLY),
        Command(
            "email forward",
            messages.answering("forward"),
            "pass a mail on",
            "--to ADDRESS!  recipient",
            *_REPLY,
        ),
        Command("get email", calls.get_email, "its email address"),
        Command("get phone", calls.get_phone, "its phone number; 1 if it has none"),
        Command("get owner", calls.get_owner, "the name of the account's owner"),
        Command("identity list", identities.list_identities, "all that the key may see"),
        Command(
            "identity create",
            identities.create_identity,
            "make one; costs money, and is tried once",
            "--name NAME  what it is called; the service makes one up",
            "--email ADDRESS  local part, or an address on a domain of yours",
            "--provision-phone  with a phone number; needs a paid plan",
        ),
        Command("identity show", identities.show_identity, "this identity, or another one", *_NAME),
        Command(
            "identity delete",
            identities.delete_identity,
            "delete one, for good; asks first",
            *_NAME,
            "--yes  do not ask",
        ),
        Command(
            "identity use",
            identities.use_identity,
            "refused: parallel agents would share it",
            "UUID  ",
        ),
        Command("passwords list", rest("GET", "passwords/"), "all of them"),
        Command("passwords get", rest("GET", "passwords/{uuid}/"), "one of them", _UUID),
        Command(
            "passwords create",
            calls.create_password,
            "store one, made by the service unless given",
            "DOMAIN!  the website",
            "--username NAME  the identity's address unless given",
            "--password TEXT  seen by others in the list of processes",
            "--generate  let the service make one",
            "--notes TEXT  anything",
            *_PASSWORD,
        ),
        Command(
            "passwords update",
            _update_password,
            "change one",
            _UUID,
            "--domain DOMAIN  the website",
            "--username NAME  who logs in",
            "--password TEXT  seen by others in the list of processes",
            "--notes TEXT  anything",
        ),
        Command("passwords delete", rest("DELETE", "passwords/{uuid}/"), "delete one", _UUID),
        Command("passwords generate", calls.generate_password, "make one up", *_PASSWORD),
        Command("secrets list", rest("GET", "secrets/"), "all of them"),
        Command("secrets get", calls.get_secret, "the one of that key", "KEY!  its key"),
        Command(
            "secrets set",
            calls.set_secret,
            "store one, or change its value",
            "KEY!  its key",
            "VALUE!  seen by others in the list of processes",
        ),
        Command("secrets delete", rest("DELETE", "secrets/{uuid}/"), "delete one", _UUID),
        Command("contacts list", rest("GET", "contacts/"), "all of them"),
        Command(
            "contacts find",
            rest(
                "GET",
                "contacts/find/",
                body={"email": "email", "phone_number": "phone"},
                flags="--email or --phone",
            ),
            "the one with exactly this address or number",
            "--email ADDRESS  mail address",
            "--phone NUMBER  phone number",
        ),
        Command(
            "contacts search",
            rest("GET", "contacts/search/", body={"q": "query"}),
            "those that look like it",
            "QUERY!  part of a name, an address or a number",
        ),
        Command("contacts get", rest("GET", "contacts/{uuid}/"), "one of them", _UUID),
        Command(
            "contacts create",
            rest("POST", "contacts/", body=_CONTACT, flags="--email or --phone"),
            "add one",
            *_CONTACT_FLAGS,
        ),
        Command(
            "contacts update",
            rest("PATCH", "contacts/{uuid}/", body=_CONTACT, flags="a flag to change"),
            "change one",
            _UUID,
            *_CONTACT_FLAGS,
        ),
        Command("contacts delete", rest("DELETE", "contacts/{uuid}/"), "delete one", _UUID),
        Command("domains", calls.list_domains, "domains that an address may be on"),
        Command("sso token", rest("POST", "sso/token/"), "a short-lived token for a third party"),
        Command(
            "feedback",
            messages.feedback,
            "a mail to Ravi's team",
            "MESSAGE!  the text",
            "--subject TEXT  instead of Feedback",
        ),
        Command("auth status", calls.auth_status, "key and identity, offline"),
        Command("auth login", calls.auth_login, "refused: it takes a person with a browser"),
        Command("auth logout", calls.auth_logout, "refused: it would remove the agent's identity"),
        Command("version", calls.version, "which ravi this is"),
        # Words of the official CLI before v0.4.
        Command(
            "passwords edit",
            _update_password,
            "",
            _UUID,
            *(f"--{name} TEXT  " for name in _ENTRY),
        ),
    ),
    TOPICS,
    {"vault": "secrets"},
)
