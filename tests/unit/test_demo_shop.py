"""The shop of `make demo-signup` sends codes, takes no other, and says who is through."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi

SHOP = Path(__file__).parents[2] / "images/demo-shop/shop.py"


class Shop:
    """A shop whose mail and SMS go to a local Ravi."""

    def __init__(self, local: LocalRavi) -> None:
        self.environ = {
            **os.environ,
            "SHOP_HOST": "127.0.0.1",
            "SHOP_PORT": "0",
            "SHOP_SMTP": f"{local.host}:{local.smtp_port}",
            "SHOP_SMS_URL": f"{local.url}/local/sms/",
        }
        self.process = subprocess.Popen(
            [sys.executable, SHOP], env=self.environ, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.environ["SHOP_PORT"] = self.process.stdout.readline().split()[-1]

    def submit(self, form: str, **fields: str) -> tuple[int, str]:
        """The status and the text of what the shop answers to a form."""
        url = f"http://127.0.0.1:{self.environ['SHOP_PORT']}/{form}"
        try:
            with urllib.request.urlopen(url, urlencode(fields).encode(), timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()

    def report(self, count: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SHOP), "report", str(count)]
        return subprocess.run(
            command, env=self.environ, capture_output=True, check=False, text=True, timeout=30
        )


@pytest.fixture
def shop(local: LocalRavi) -> Iterator[Shop]:
    shop = Shop(local)
    yield shop
    shop.process.terminate()
    assert shop.process.wait(timeout=10) == 0
    assert shop.process.stdout
    shop.process.stdout.close()


def codes(local: LocalRavi, customer: Record) -> list[str]:
    """Every code that a customer was sent, mail before SMS."""
    store = local.store
    texts = [one["text_content"] for one in store.mailbox.mail_listing(customer).rows(10)]
    texts += [one["body"] for one in store.phones.sms_listing(customer).rows(10)]
    return [code for text in texts for code in re.findall(r"\d{6}", str(text))]


def test_who_enters_both_codes_is_signed_up(local: LocalRavi, shop: Shop) -> None:
    customer = local.store.create(name="anna", email=None, with_phone=True)
    assert customer.phone

    first = shop.submit("signup", email=customer.email, phone=customer.phone)
    (mailed,) = codes(local, customer)
    second = shop.submit("email", email=customer.email, code=mailed)
    _, texted = codes(local, customer)
    before = shop.report(1)
    third = shop.submit("phone", email=customer.email, code=texted)

    assert [first[0], second[0], third[0]] == [200, 200, 200]
    assert "you are signed up" in third[1]
    assert before.returncode == 1
    assert "0 of 1 signed up" in before.stdout
    assert shop.report(1).returncode == 0
    assert shop.report(2).returncode == 1


def test_another_code_is_refused_and_so_is_the_second_before_the_first(
    local: LocalRavi, shop: Shop
) -> None:
    customer = local.store.create(name="anna", email=None, with_phone=True)
    assert customer.phone
    shop.submit("signup", email=customer.email, phone=customer.phone)
    (mailed,) = codes(local, customer)

    wrong = "111111" if mailed != "111111" else "222222"
    assert shop.submit("email", email=customer.email, code=wrong)[0] == 403
    assert shop.submit("phone", email=customer.email, code=mailed)[0] == 409
    assert shop.submit("email", email="eve@ravi-local.test", code=mailed)[0] == 404
    assert len(codes(local, customer)) == 1


@pytest.mark.parametrize(
    ("form", "fields", "status"),
    [
        ("signup", {"email": "anna", "phone": "+15550000001"}, 400),
        ("signup", {"email": "a@b.test\r\nBcc: eve@b.test", "phone": "+15550000001"}, 400),
        ("signup", {"email": "anna@ravi-local.test", "phone": ""}, 400),
        ("signup", {"email": "nobody@ravi-local.test", "phone": "+15550000001"}, 502),
        ("elsewhere", {}, 404),
    ],
)
def test_a_form_that_no_customer_sends_is_refused(
    shop: Shop, form: str, fields: dict[str, str], status: int
) -> None:
    assert shop.submit(form, **fields)[0] == status
