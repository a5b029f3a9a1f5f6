"""What the official CLI v0.6.2 sends for each command line.

Seen by hand: the real one, built from its public source, was driven through the same proxy and sent
the same on 2026-11-25; RAVI_OFFICIAL_CLI makes the test drive it again.
Words in braces are filled in by the test: ids of what the identity has.
"""

_CONTACT = (
    "{created_dt, display_name, email, interaction_count, is_trusted, last_interaction_dt, "
    "nickname, phone_number, source, updated_dt, uuid}"
)
_PASSWORD = "{created_dt, domain, notes, password, updated_dt, username, uuid}"
_SECRET = "{created_dt, key, notes, updated_dt, uuid, value}"
_ONE_MAIL = "/api/email-messages/{mail}"
_CHANGED = "{display_name, email, is_trusted, nickname, phone_number}"
_COMPOSE = "POST /api/email-messages/compose/?inbox={inbox}"
_GENERATE = "GET /api/passwords/generate-password/"
FACTS: "dict[str, tuple[str, ...]]" = {
    "version": (),
    "auth status": (),
    "auth logout": (),
    "identity list": ("GET /api/identities/ as account",),
    "identity create": ("POST /api/identities/ {} as account",),
    "identity create --name n --email {free} --provision-phone": (
        "POST /api/identities/ {email, name, provision_phone} as account",
    ),
    "identity use {own}": (
        "GET /api/identities/ as account",
        "POST /api/auth/keys/identity/ {identity_uuid, label} as account",
    ),
    "get email": ("GET /api/email/ as identity",),
    "get phone": ("GET /api/phone/ as identity",),
    "get owner": ("GET /api/master/ as identity",),
    "domains": ("GET /api/domains/ as account",),
    "inbox email": ("GET /api/email-inbox/ as identity",),
    "inbox email --unread": ("GET /api/email-inbox/?has_unread=true as identity",),
    "inbox email {thread}": ("GET /api/email-inbox/{thread}/ as identity",),
    "inbox sms": ("GET /api/sms-inbox/ as identity",),
    "inbox sms --unread": ("GET /api/sms-inbox/?has_unread=true as identity",),
    "inbox sms {conversation}": ("GET /api/sms-inbox/{conversation}/ as identity",),
    "message email": ("GET /api/email-messages/ as identity",),
    "message email --unread": ("GET /api/email-messages/?is_read=false as identity",),
    "message email {mail}": (f"GET {_ONE_MAIL}/ as identity",),
    "message sms": ("GET /api/messages/ as identity",),
    "message sms --unread": ("GET /api/messages/?is_read=false as identity",),
    "message sms {sms}": ("GET /api/messages/{sms}/ as identity",),
    "email compose --to a@else.example --subject s --body b": (
        "GET /api/email/ as identity",
        f"{_COMPOSE} {{content, subject, to_email}} as identity",
    ),
    "email compose --to a@else.example --subject s --body b --cc c@else.example,d@else.example"
    " --bcc e@else.example --attach {file}": (
        "GET /api/email/ as identity",
        "POST /api/email-attachments/presign/ {content_type, filename, size} as identity",
        "PUT /local/uploads/{upload}/ as nobody",
        f"{_COMPOSE} {{attachment_uuids, bcc, cc, content, subject, to_email}} as identity",
    ),
    "email reply {mail} --body b": (f"POST {_ONE_MAIL}/reply/ {{content}} as identity",),
    "email reply-all {mail} --body b --cc c@else.example": (
        f"POST {_ONE_MAIL}/reply-all/ {{cc, content}} as identity",
    ),
    "email forward {mail} --to a@else.example --body b": (
        f"POST {_ONE_MAIL}/forward/ {{content, to_email}} as identity",
    ),
    "passwords list": ("GET /api/passwords/ as identity",),
    "passwords get {password}": ("GET /api/passwords/{password}/ as identity",),
    "passwords create shop.example --password p": (
        f"POST /api/passwords/ {_PASSWORD} as identity",
    ),
    "passwords create shop.example --generate --length 20 --no-special --no-digits"
    " --exclude-chars abc --username u --notes n": (
        f"{_GENERATE}?digits=false&exclude_chars=abc&length=20&special=false as identity",
        f"POST /api/passwords/ {_PASSWORD} as identity",
    ),
    "passwords update {password} --domain d --username u --password p --notes n": (
        "PATCH /api/passwords/{password}/ {domain, notes, password, username} as identity",
    ),
    "passwords delete {password}": ("DELETE /api/passwords/{password}/ as identity",),
    "passwords generate": (f"{_GENERATE}?length=16 as identity",),
    "secrets list": ("GET /api/secrets/ as identity",),
    "secrets get TOKEN": ("GET /api/secrets/?key=TOKEN as identity",),
    "secrets set TOKEN v": (
        "GET /api/secrets/?key=TOKEN as identity",
        "PATCH /api/secrets/{secret}/ {value} as identity",
    ),
    "secrets set NEW v": (
        "GET /api/secrets/?key=NEW as identity",
        f"POST /api/secrets/ {_SECRET} as identity",
    ),
    "secrets delete {secret}": ("DELETE /api/secrets/{secret}/ as identity",),
    "contacts list": ("GET /api/contacts/ as identity",),
    "contacts search else": ("GET /api/contacts/search/?q=else as identity",),
    "contacts get {contact}": ("GET /api/contacts/{contact}/ as identity",),
    "contacts create --email n@else.example --phone +15557770003 --display-name d --nickname k"
    " --trusted": (f"POST /api/contacts/ {_CONTACT} as identity",),
    "contacts update {contact} --email n@else.example --phone +15557770003 --display-name d"
    " --nickname k --trusted=false": (f"PATCH /api/contacts/{{contact}}/ {_CHANGED} as identity",),
    "contacts delete {contact}": ("DELETE /api/contacts/{contact}/ as identity",),
    "sso token": ("POST /api/sso/token/ as identity",),
    "feedback good": (
        "GET /api/email/ as identity",
        f"{_COMPOSE} {{content, subject, to_email}} as identity",
    ),
    "feedback good --subject s": (
        "GET /api/email/ as identity",
        f"{_COMPOSE} {{content, subject, to_email}} as identity",
    ),
    "identity list --human=false": ("GET /api/identities/ as account",),
}

# Command lines it ends with 1 for, and a part of what it says.
REFUSED = {
    "identity list --json": "unknown flag: --json",
    "get email --json": "unknown flag: --json",
    "--json get email": "unknown flag: --json",
    "inbox sms --unread --json": "unknown flag: --json",
    "get phone -j": "unknown shorthand flag: 'j' in -j",
    "inbox email --limit 5": "unknown flag: --limit",
    "nonsense": 'unknown command "nonsense" for "ravi"',
    "vault list": 'unknown command "vault" for "ravi"',
    "phone": 'unknown command "phone" for "ravi"',
    "identity create --name": "flag needs an argument: --name",
    "identity create --provision-phone=maybe": 'invalid argument "maybe"',
    "passwords generate --length many": 'invalid argument "many"',
    "email compose --to a@else.example": 'required flag(s) "body", "subject" not set',
    "email reply --body b": "accepts 1 arg(s), received 0",
    "email reply 1 2 --body b": "accepts 1 arg(s), received 2",
    "secrets set TOKEN": "accepts 2 arg(s), received 1",
    "secrets get ABSENT": "secret not found: ABSENT",
    "passwords update {password}": "no fields specified to update",
    "contacts get nobody": "API error: Not found.",
    "identity use nobody": 'identity "nobody" not found',
    "message email 99999999": "API error: Not found.",
    "email compose --to a@else.example --subject s --body b --attach /not/there": "cannot access",
}
# A group with another word, or none: it shows its help and ends with 0, which hides a typing error.
HELP = (
    "",
    "inbox",
    "inbox list",
    "identity show",
    "message send",
    "get",
    "--help",
    "email reply -h",
)
