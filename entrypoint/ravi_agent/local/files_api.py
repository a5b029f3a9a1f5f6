"""Attachments: a place is asked for with a key, the bytes come and go by a signed URL without one.

As with the service's own storage, whoever has such a URL may use it until it expires.
"""

import time

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from ravi_agent.local.endpoints import Call, Endpoint, Who
from ravi_agent.local.fields import number, text
from ravi_agent.local.mailbox import Upload
from ravi_agent.local.refusals import RefusalError, not_found
from ravi_agent.local.sealed import Seal

UPLOADS = "/local/uploads/"
MAX_BYTES = 10 * 1024 * 1024
_VALID_S = 3600
_SIGNED = {"expires": number(0, 10**12).required(), "signature": text(limit=64).required()}


def download_url(call: Call, file_uuid: str) -> str:
    return call.url(download_path(call.store.seal, file_uuid))


def download_path(seal: Seal, file_uuid: str) -> str:
    """Where a file is to be had on this server, signed."""
    return _signed_path(seal, "GET", f"/local/downloads/{file_uuid}/")


def _signed_path(seal: Seal, method: str, path: str) -> str:
    # The same for an hour: a page that shows it again has not changed.
    expires = (int(time.time()) // _VALID_S + 2) * _VALID_S
    signature = seal.sign(f"{method} {path} {expires}")
    return f"{path}?expires={expires}&signature={signature}"


def _require_signature(call: Call, method: str) -> None:
    expires = int(str(call.query["expires"]))
    signed = f"{method} {call.request.url.path} {expires}"
    if not call.store.seal.has_signed(signed, str(call.query["signature"])):
        raise RefusalError(403, "This URL has not been signed.")
    if expires < time.time():
        raise RefusalError(403, "This URL has expired.")


def _presign(call: Call) -> object:
    upload = Upload(
        filename=call.text("filename"),
        content_type=call.text("content_type") or "application/octet-stream",
        content=b"",
    )
    # An upload belongs to the account where no identity is named, as `ravi-sdk` does it.
    owner = call.service.callers.scope(call.request, call.caller)
    size = int(str(call.body["size"]))
    file_uuid = call.store.mailbox.expect_file(owner.uuid if owner else None, upload, size)
    return {
        "uuid": file_uuid,
        "upload_url": call.url(_signed_path(call.store.seal, "PUT", f"{UPLOADS}{file_uuid}/")),
        "storage_key": f"local/{file_uuid}",
    }


async def _upload(call: Call) -> Response:
    _require_signature(call, "PUT")
    file = call.store.mailbox.file(call.part("uuid"))
    if file is None or file["content"] is not None:
        raise not_found()
    try:
        content = await call.request.body()
    except ClientDisconnect:
        return Response(status_code=400)
    if len(content) != file["size_bytes"]:
        raise RefusalError(400, f"This file was announced with {file['size_bytes']} bytes.")
    call.store.mailbox.fill_file(file["uuid"], content)
    return Response(status_code=200)


def _download(call: Call) -> Response:
    _require_signature(call, "GET")
    file = call.store.mailbox.file(call.part("uuid"))
    if file is None or file["content"] is None:
        raise not_found()
    # Whatever it says it is, a browser saves it and runs nothing.
    headers = {
        "content-disposition": "attachment",
        "content-security-policy": "sandbox",
        "x-content-type-options": "nosniff",
    }
    return Response(file["content"], media_type=_media_type(file["content_type"]), headers=headers)


def _media_type(stated: str) -> str:
    return stated if stated.isascii() and stated.isprintable() else "application/octet-stream"


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/email-attachments/presign/",
        answer=_presign,
        does="Ask for a URL to upload an attachment to",
        who=Who.CALLER,
        body={
            "filename": text(limit=255).required(),
            "content_type": text(limit=255),
            "size": number(0, MAX_BYTES).required(),
        },
        returns="Presigned",
        status=201,
    ),
    Endpoint(
        method="PUT",
        path=f"{UPLOADS}{{uuid}}/",
        answer=_upload,
        does="Upload an attachment, with its bytes as the body",
        who=Who.ANYONE,
        query=_SIGNED,
    ),
    Endpoint(
        method="GET",
        path="/local/downloads/{uuid}/",
        answer=_download,
        does="Download an attachment",
        who=Who.ANYONE,
        query=_SIGNED,
    ),
)
