"""An agent that signs up at the shop with its own identity, as any agent may.

It fills in the form, waits for the code that is mailed and for the one that is texted, and enters
both.
"""

import os
import subprocess
import urllib.error
import urllib.request
from urllib.parse import urlencode

SHOP = os.environ.get("SHOP_URL", "http://shop.example:8080")


def main() -> None:
    """Sign up; leaves with 1 and says why where that fails."""
    email, phone = os.environ["RAVI_EMAIL"], os.environ["RAVI_PHONE"]
    submit("signup", email=email, phone=phone)
    mailed = wait_for_code("--email", "--from", "shop.example")
    submit("email", email=email, code=mailed)
    texted = wait_for_code("--sms", "--body", "The shop")
    submit("phone", email=email, code=texted)
    print(f"signed up as {email} with the code {mailed}, as {phone} with {texted}")


def submit(form: str, **fields: str) -> None:
    """Send one of the shop's forms."""
    try:
        data = urlencode(fields).encode()
        urllib.request.urlopen(f"{SHOP}/{form}", data, timeout=60).close()
    except urllib.error.HTTPError as exc:
        raise SystemExit(f"the shop refuses {form}: {exc.read().decode()}") from exc
    except OSError as exc:
        raise SystemExit(f"the shop does not answer: {exc}") from exc


def wait_for_code(*which: str) -> str:
    """The code of the next message that came since this start; blocks until it is there."""
    command = ["ravi", "inbox", "wait", "--code", *which, "--timeout", "2m"]
    waited = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if waited.returncode:
        raise SystemExit(waited.returncode)  # `ravi` has said why
    return waited.stdout.strip()


if __name__ == "__main__":
    main()
