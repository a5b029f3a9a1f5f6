"""The forms of numbers and words in a message: which may be a code, and which never are."""

import re

LATIN = "a-zA-Z\u00c0-\u024f\u0400-\u04ff"

URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'）】」]+", re.IGNORECASE)
ADDRESS = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}")
FOR_BROWSERS = re.compile(r"^@[a-z0-9.-]+ #([A-Za-z0-9]{4,8})\b", re.MULTILINE | re.IGNORECASE)
# Numbers of a known form that is no code's; blanked before candidates are looked for.
NO_CODES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?Z?)?",
        r"\b(?:[012]?\d|3[01])[-/.]\s?(?:0?\d|1[0-2])[-/.]\s?(?:19|20)?\d{2}\b(?![-/.\d])",
        r"\b(?:0?\d|1[0-2])[-/.](?:[012]?\d|3[01])[-/.](?:19|20)?\d{2}\b(?![-/.\d])",
        r"\b(?:jan|feb|mar|mär|apr|ma[yiïj]|jun|jul|aug|sep|o[ck]t|nov|de[cz]|janv|f[eé]v|avr|juin|juil|ao[uû]t"
        r"|ene|abr|ago|dic|gen|mag|giu|lug|set|ott|out|mrt|mei|sty|lut|kwi|cze|lip|sie|wrz|paź|lis|gru)"
        rf"[{LATIN}]{{0,8}}\.?\s+(?:\d{{1,2}}(?:st|nd|rd|th)?,?\s+)?(?:de\s+)?(?:19|20)\d{{2}}\b",
        r"\d{4}\s?[年년]",
        r"(?<![\d.,])\d{1,2}[:h]\d{2}(?::\d{2})?(?!\d)",
        r"(?<!\d)\d{1,3}(?:[.,]\d{3}){1,4}(?:[.,]\d{1,2})?(?!\d)",
        r"(?<!\d)\d{1,9}[.,]\d{1,2}(?=\s?(?:[€£$¥%]|usd|eur|gbp|zł|pln|kr|chf|[km]?b\b))",
        r"(?:[€£$¥￥₹₽]|\b(?:usd|eur|gbp|chf|r\$|rmb|cny))\s?\d[\d.,' ]{0,14}\d",
        r"(?<!\d)\d[\d., ]{0,14}\d\s?(?:€|£|¥|￥|円|元|zł|usd|eur|gbp|chf|pln|kr\b)",
        r"\bv?\d{1,9}(?:\.\d{1,9}){2,9}\b|\bv\d{1,9}(?:\.\d{1,9}){0,9}\b|(?<!\d)\d{1,9}\.\d{1,9}(?!\d)",
        # Phone numbers: a plus, brackets, or groups that make nine digits and more.
        r"\+\d[\d\s().-]{5,20}\d",
        r"\(\d{2,5}\)\s?\d[\d\s-]{3,14}\d",
        r"\b0\d{1,4}[\s/-]\d{2,9}(?:[\s-]?\d{2,9}){0,4}\b(?<=\d{4})|\b0[1-9](?:[ .]\d{2}){4}\b",
        # Three groups of two are no phone number yet.
        r"(?<![\d-])(?!\d{2}([ -])\d{2}\1\d{2}(?![ -]?\d))\d{1,4}(?:[ .-]\d{2,4}){2,8}(?![\d-])",
        r"\b(?:1[- ])?8\d\d[- ][\dA-Z]{3}[- ]?[\dA-Z]{4}\b|\b\d{3}-\d{4}\b(?!-)",
        r"〒\s?\d{3}-\d{4}",
        r"\b(?-i:[A-Z]{2})\s\d{5}(?:-\d{4})?\b",
        r"\d{9,}",
        r"(?:©|\(c\)|copyright)\s*(?:19|20)\d{2}(?:\s?[-–]\s?(?:19|20)\d{2})?",
        r"\b(?:19|20)\d{2}\s?[-–]\s?(?:19|20)\d{2}\b",
        r"[*x•X]{2,}[\s-]?\d{2,4}\b",
    )
)
CANDIDATES = re.compile(
    r"(?<![A-Za-z0-9/_@#-])(?<!\d[.,])(?:"
    r"(?P<prefixed>[A-Z]{1,3}-(?P<digits>\d{4,8}))"
    r"|(?P<spaced>\d(?:[ \u00a0]\d){3,7})"
    r"|(?P<grouped>\d{3}[- \u00a0]\d{3}|\d{4}[- \u00a0]\d{4}|\d{2}[ -]\d{2}[ -]\d{2}|\d{2}[ -]\d{2})"
    r"|(?P<plain>\d{4,8})"
    r"|(?P<pair>[A-Z0-9]{3,4}-[A-Z0-9]{3,4})"
    r"|(?P<mixed>(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{4,8})"
    r"|(?P<letters>[A-Z]{4,8})"
    r")(?![A-Za-z0-9_@]|[.,/-][A-Za-z0-9])"
)
# What stands right before or behind an amount, or the number of a house.
UNIT_SIGN = re.compile(r"^\s?(?:%|°|€|£|\$|¥|￥)")
STREET = re.compile(
    r"^\s+(?:[A-Z][\w'.]*\s+){1,3}(?:St|Street|Ave|Avenue|Rd|Road|Blvd|Boulevard|Lane|Ln|Drive|Dr"
    r"|Parkway|Pkwy|Way|Court|Square|Highway)\b"
)
CURRENCY = re.compile(
    r"(?:[€£$¥￥₹₽]|(?:usd|eur|gbp|chf|pln|jpy|cny|rmb|inr|rs|r\$|kr)\.?)\s?$", re.IGNORECASE
)
# `(room 2210)`: what stands in brackets with a number is what it counts.
BRACKET = re.compile(r"[(（]\s*[^\W\d_]{2,20}\.?\s+$")
HOUR = re.compile(
    r"\b(?:at|by|until|from|um|ab|à|las|alle|ore|às|om|kl|godz|o|в)\.?\s+$", re.IGNORECASE
)
PRONOUN = re.compile(
    r"(?:^|[.!?\n]\s*)(?:it'?s|it is|this is|here it is:?|es ist|c'est|es el|è il|é o|het is|to)\s+$",
    re.IGNORECASE,
)
COLON_OR_IS = re.compile(
    r"(?:[:：]|\b(?:is|ist|lautet|est|es|è|é|jest|to|är|er))[\s\"'*«„]*$", re.IGNORECASE
)
# `flat 1204 is 6642`: what a number is called, not the number that is told.
ANOTHER_BEHIND = re.compile(
    r"^[)\]\s]*(?:is|ist|lautet|est|es|è|é|jest|to|är|er|это|:)\s+[\"'*]*\d{4}", re.IGNORECASE
)
HASHED = re.compile(r"(?<=[A-Za-z\u3000-\u9fff:：] )#(\d{4,8})(?!\d)")
NO_WORDS = re.compile(  # letters and digits that are a measure or a name
    r"\d+(?:st|nd|rd|th|h|hr|hrs|min|mins|am|pm|px|[kmgt]i?b|[kmx]|p|w|d|s|er|ème|eme|º|ª|fps|hz|mp)"
    r"|(?:win|windows|ios|covid|web|utf|sha|md|ipv|mp|oauth|base|utc|gmt|cest|cet|iso|rfc|python|java)\d+"
    r"|h26[45]|[bc]2[bc]|(?:19|20)\d{2}q[1-4]|q[1-4](?:19|20)?\d{2}",
    re.IGNORECASE,
)
# Buttons and headings in capitals.
CAPITALS = frozenset(
    "VERIFY CONFIRM LOGIN SIGNIN SIGNUP CODE HERE BELOW ABOVE STOP HELP CLICK ENTER SECURITY ACCOUNT"
    " YOUR THIS THAT WITH FROM ONLY NEVER SHARE VALID TEAM EMAIL MAIL PHONE IMPORTANT NOTICE WELCOME"
    " HELLO DEAR THANKS THANK PLEASE EXPIRES MINUTES CONTINUE ACTIVATE ACCEPT RESET PASSWORD OPEN"
    " CODIGO CLAVE AQUI HOLA HALLO CIAO BONJOUR MERCI DANKE INFO HTML HTTP HTTPS JSON NOTE WARNING"
    " ALERT PRIVACY TERMS CANCEL SUPPORT LOGO MENU HOME SHOP SALE CODICE PASSCODE TOKEN SUBMIT COPY"
    " POTWIERDZ ANMELDEN KODE CONFIRMA VERIFICA ACCEDI BEVESTIG UTC GMT CEST NONE NULL TRUE FALSE".split()
)
