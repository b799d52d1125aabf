"""Sentences with one planted identifier each: (kind, text, secret)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

KINDS = ("name", "id", "birth date", "date", "phone", "email", "address", "accession", "uid", "path", "insurance")
FIRST = (
    "Maria",
    "James",
    "Aisha",
    "Wei",
    "Olga",
    "Pedro",
    "Ingrid",
    "Kwame",
    "Fatima",
    "Liam",
    "Noah",
    "Yuki",
    "Priya",
)
LAST = ("Rodriguez", "O'Neill", "Nguyen", "Smith-Jones", "Kowalski", "Okafor", "Müller", "Johansson", "Patel", "Dubois")
STREETS = ("Maple Street", "Oak Avenue", "Park Road", "Lincoln Blvd", "River Lane", "Church St")
MONTHS = ("January", "March", "June", "September", "November")


def planted(rng: Random, per_kind: int) -> Iterator[tuple[str, str, str]]:
    for kind in KINDS:
        for _ in range(per_kind):
            secret, texts = MAKERS[kind](rng)
            yield kind, rng.choice(texts).format(s=secret), secret


def name(rng: Random) -> tuple[str, list[str]]:
    first, last = rng.choice(FIRST), rng.choice(LAST)
    forms = {
        f"{first} {last}": [
            "Patient: {s}. Segment the lungs.", "Mrs. {s} was seen again.", "Please compare the scan of Dr. {s}.",
            "The patient {s} has a cough.", "{s}, 54 years old, shortness of breath.", "Reviewed by {s}, MD.",
            "Name: {s}. CT chest.", "Dictated by {s}.", "Discussed with Dr. {s} by phone.", "Ms {s}'s liver volume?",
        ],
        f"{last.upper()}^{first.upper()}": ["Study of {s}.", "{s} CT", "PatientName {s}"],
        f"{last}, {first}": ["Patient name: {s}.", "Patient: {s}", "Name: {s}, ward 4."],
    }  # fmt: skip
    form = rng.choice(list(forms))
    return form, forms[form]


def number(rng: Random, digits: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(digits))


def record(rng: Random) -> tuple[str, list[str]]:
    secret = rng.choice([number(rng, 7), f"{number(rng, 3)}-{number(rng, 4)}", f"AB{number(rng, 6)}"])
    return secret, [
        "MRN {s}: liver volume?",
        "Patient ID: {s}",
        "medical record number {s}",
        "patient {s}, chest CT",
        "MRN: {s}.",
    ]


def birth(rng: Random) -> tuple[str, list[str]]:
    year, month, day = rng.randrange(1930, 2010), rng.randrange(1, 13), rng.randrange(1, 29)
    secret = rng.choice(
        [
            f"{year}-{month:02}-{day:02}",
            f"{month}/{day}/{year}",
            f"{day:02}.{month:02}.{year}",
            f"{year}{month:02}{day:02}",
        ]
    )
    return secret, ["DOB {s}", "born {s}, smoker", "Date of birth: {s}", "birth date {s}"]


def date(rng: Random) -> tuple[str, list[str]]:
    year, month, day = rng.randrange(2001, 2026), rng.choice(MONTHS), rng.randrange(1, 29)
    secret = rng.choice(
        [f"{month} {day}, {year}", f"{day} {month} {year}", f"{year}-03-{day:02}", f"03/{day:02}/{year % 100:02}"]
    )
    return secret, ["Compared with the scan of {s}.", "Exam date {s}", "seen on {s} in clinic"]


def phone(rng: Random) -> tuple[str, list[str]]:
    a, b, c = number(rng, 3), number(rng, 3), number(rng, 4)
    secret = rng.choice([f"({a}) {b}-{c}", f"{a}-{b}-{c}", f"+1 {a} {b} {c}", f"{a}.{b}.{c}"])
    return secret, ["Call {s} with results.", "Phone: {s}", "reach me at {s}"]


def email(rng: Random) -> tuple[str, list[str]]:
    secret = f"{rng.choice(FIRST).lower()}.{number(rng, 2)}@{rng.choice(('mail', 'clinic'))}.example.org"
    return secret, ["Send it to {s}.", "contact {s}", "<{s}>"]


def address(rng: Random) -> tuple[str, list[str]]:
    secret = f"{rng.randrange(1, 9999)} {rng.choice(STREETS)}"
    return secret, ["Lives at {s}, Springfield.", "Address: {s}", "home: {s}."]


def accession(rng: Random) -> tuple[str, list[str]]:
    secret = rng.choice([number(rng, 8), f"ACC{number(rng, 6)}", f"{number(rng, 4)}-{number(rng, 3)}"])
    return secret, ["Accession number {s}", "accession: {s}", "Acc # {s}"]


def uid(rng: Random) -> tuple[str, list[str]]:
    secret = f"1.2.840.{number(rng, 6)}.{rng.randrange(1, 9)}.{rng.randrange(1, 99)}.{number(rng, 10)}"
    return secret, ["Study {s}", "fetch {s} please", "StudyInstanceUID={s}"]


def path(rng: Random) -> tuple[str, list[str]]:
    secret = f"/data/{rng.choice(LAST).replace(chr(39), '').lower()}/{number(rng, 5)}.nii.gz"
    return secret, ["Open {s}", "the file {s} is mine", "see '{s}'"]


def insurance(rng: Random) -> tuple[str, list[str]]:
    secret = f"{number(rng, 3)}-{number(rng, 2)}-{number(rng, 4)}"
    return secret, ["SSN {s}", "social security {s}", "insurance no {s}"]


MAKERS = {
    "name": name, "id": record, "birth date": birth, "date": date, "phone": phone, "email": email, "address": address,
    "accession": accession, "uid": uid, "path": path, "insurance": insurance,
}  # fmt: skip
