"""The tables of the local Ravi, and the few words that more than one module says about them.

Column names are the service's field names. Secrets are in `sealed` columns alone, keys in
`digest` columns alone: neither can be read out of the file.
"""

# Reserved for tests (RFC 6761); the area code 555 is assigned to nobody.
DOMAIN = "ravi-local.test"
PHONE_PREFIX = "+1555"

_OWNED = "identity_uuid TEXT NOT NULL REFERENCES identities (uuid) ON DELETE CASCADE"
_DATED = "created_dt TEXT NOT NULL, updated_dt TEXT NOT NULL"

TABLES = f"""
CREATE TABLE IF NOT EXISTS identities (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    phone TEXT UNIQUE,
    {_DATED}
);
CREATE TABLE IF NOT EXISTS keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL UNIQUE,
    identity_uuid TEXT REFERENCES identities (uuid) ON DELETE CASCADE,
    hint TEXT NOT NULL,
    label TEXT NOT NULL,
    is_active INTEGER NOT NULL DEFAULT 1,
    last_used_at TEXT,
    created_dt TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL,
    {_OWNED},
    thread_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    from_email TEXT NOT NULL,
    from_display_name TEXT NOT NULL,
    to_email TEXT NOT NULL,
    cc TEXT NOT NULL,
    subject TEXT NOT NULL,
    text_content TEXT NOT NULL,
    html_content TEXT NOT NULL,
    direction TEXT NOT NULL,
    sender_type TEXT NOT NULL,
    is_read INTEGER NOT NULL,
    created_dt TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS mails_by_message ON mails (identity_uuid, message_id);
CREATE INDEX IF NOT EXISTS mails_by_thread ON mails (identity_uuid, thread_id);
CREATE TABLE IF NOT EXISTS files (id INTEGER PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS attachments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    identity_uuid TEXT REFERENCES identities (uuid) ON DELETE CASCADE,
    mail_id INTEGER REFERENCES mails (id) ON DELETE CASCADE,
    file_id INTEGER REFERENCES files (id),
    filename TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    is_inline INTEGER NOT NULL,
    created_dt TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS attachments_by_mail ON attachments (mail_id);
CREATE INDEX IF NOT EXISTS attachments_by_file ON attachments (file_id);
CREATE TRIGGER IF NOT EXISTS files_without_attachment AFTER DELETE ON attachments
BEGIN
    DELETE FROM files WHERE id = OLD.file_id
        AND NOT EXISTS (SELECT 1 FROM attachments WHERE file_id = OLD.file_id);
END;
CREATE TABLE IF NOT EXISTS sms (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    {_OWNED},
    from_number TEXT NOT NULL,
    to_number TEXT NOT NULL,
    peer TEXT NOT NULL,
    body TEXT NOT NULL,
    message_sid TEXT NOT NULL,
    phone TEXT NOT NULL,
    direction TEXT NOT NULL,
    is_read INTEGER NOT NULL,
    created_dt TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS sms_by_peer ON sms (identity_uuid, peer);
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL,
    {_OWNED},
    phone INTEGER NOT NULL,
    from_number TEXT NOT NULL,
    to_number TEXT NOT NULL,
    direction TEXT NOT NULL,
    status TEXT NOT NULL,
    answered_at TEXT,
    ended_at TEXT,
    end_reason TEXT NOT NULL,
    created_dt TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    call_id INTEGER NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    speaker TEXT NOT NULL,
    text TEXT NOT NULL,
    sequence_number INTEGER NOT NULL,
    created_dt TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    {_OWNED},
    type TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of ON events (identity_uuid, seq);
CREATE TABLE IF NOT EXISTS passwords (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, {_OWNED},
    domain TEXT NOT NULL, username TEXT NOT NULL, sealed BLOB NOT NULL, {_DATED}
);
CREATE TABLE IF NOT EXISTS secrets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, {_OWNED},
    key TEXT NOT NULL, sealed BLOB NOT NULL, {_DATED}, UNIQUE (identity_uuid, key)
);
CREATE TABLE IF NOT EXISTS contacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, {_OWNED},
    email TEXT NOT NULL, phone_number TEXT NOT NULL, display_name TEXT NOT NULL,
    nickname TEXT NOT NULL, is_trusted INTEGER NOT NULL, source TEXT NOT NULL DEFAULT 'manual',
    interaction_count INTEGER NOT NULL DEFAULT 0, last_interaction_dt TEXT, {_DATED}
);
CREATE TABLE IF NOT EXISTS webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE,
    identity_uuid TEXT REFERENCES identities (uuid) ON DELETE CASCADE,
    url TEXT NOT NULL, enabled INTEGER NOT NULL, event_types TEXT NOT NULL,
    sealed BLOB NOT NULL, {_DATED}
);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE,
    webhook_id INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_seq INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    status TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at TEXT,
    response_status INTEGER, response_preview TEXT NOT NULL DEFAULT '',
    last_error TEXT NOT NULL DEFAULT '', {_DATED}
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (status, next_attempt_at);
CREATE TABLE IF NOT EXISTS voice_agents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, {_OWNED} UNIQUE,
    response_url TEXT NOT NULL, enabled INTEGER NOT NULL, timeout_seconds INTEGER NOT NULL,
    sealed BLOB NOT NULL, {_DATED}
);
"""  # noqa: S608 - no query
