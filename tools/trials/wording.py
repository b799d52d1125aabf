"""True sentences about a made reading, worded as people and language models word them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tools.claims import readable, shown
from tools.number_words import CARDINALS
from tools.results import Claim, Measurement
from tools.trials.readings import MadeReading

_VOLUME = (
    "Volume of the {t}: {v}.", "The {t} measures {v}.", "The {t} has a volume of {v}.", "{T} volume is {v}.",
    "The measured volume of the {t} is {v}.", "The {t} occupies {v} on this scan.", "Segmented {t} volume: {v}.",
    "The {t} was outlined and amounts to {v}.", "Calculated volume for the {t} comes to {v}.",
    "A volume of {v} was measured for the {t}.", "On {m}, the {t} measures {v}.", "{v} is the volume of the {t}.",
    "Quantitative assessment yields a {t} volume of {v}.", "The volume of the {t} was found to be {v}.",
    "{T}: {v}.", "We measured {v} for the {t}.", "The {t} is {v} in volume.",
    "The automated segmentation gives a {t} volume of {v}.",
)  # fmt: skip
_DENSITY = (
    "Mean density of the {t}: {v}.", "The {t} has a mean attenuation of {v}.", "Average attenuation of the {t} is {v}.",
    "The mean {t} density measures {v}.", "The {t} averages {v}.", "Within the {t}, mean density is {v}.",
)  # fmt: skip
_LENGTH = (
    "Longest axial diameter of the {t}: {v}.", "The {t} measures {v} in longest diameter.",
    "The longest axial diameter of the {t} is {v}.", "The long axis of the {t} measures {v}.",
    "The {t} has a longest diameter of {v}.",
)  # fmt: skip
_SURFACE = (
    "Surface area of the {t}: {v}.",
    "The {t} has a surface area of {v}.",
    "The surface of the {t} measures {v}.",
)
_SCORE = (
    "The model scores {l} at {s}, {r} its operating point of {o}.",
    "{L} score: {s}, {r} the operating point of {o}.",
    "For {l}, the classifier's score is {s}, which is {r} its threshold of {o}.",
    "The network's score for {l} is {s} (operating point {o}).",
)
_QUOTE = (
    "A stored report of another patient says: “{q}”", "In a report of another patient: “{q}”",
    "One similar report (another patient) reads “{q}”", "A different patient's stored report states: “{q}”",
)  # fmt: skip


def true_claims(reading: MadeReading, seed: int) -> list[Claim]:
    """Return true sentences about a reading, each with its evidence."""
    rng = Random(seed)
    return [*_measured(reading, rng), *_paired(reading, rng), *_scored(reading, rng), *_other(reading, rng)]


def _measured(reading: MadeReading, rng: Random) -> Iterator[Claim]:
    templates = {
        "volume": _VOLUME, "mean_intensity": _DENSITY, "longest_diameter": _LENGTH, "surface_area": _SURFACE,
    }  # fmt: skip
    for row in reading.rows:
        if row.quantity in templates:
            text = rng.choice(templates[row.quantity])
            name = readable(row.target)
            said = text.format(t=name, T=_capital(name), v=value_text(row, rng), m=_modality(reading, rng))
            yield _claim(said, "s2")


def _paired(reading: MadeReading, rng: Random) -> Iterator[Claim]:
    volumes = [row for row in reading.rows if row.quantity == "volume"]
    first, second = rng.sample(volumes, 2)
    a, b = readable(first.target), readable(second.target)
    v, w = shown(first.value, "ml"), shown(second.value, "ml")
    texts = [
        f"The {a} measures {v} and the {b} {w}.", f"{_capital(a)} volume is {v}, while the {b} measures {w}.",
        f"{v} in the {a}, {w} in the {b}.", f"The {a} and the {b} measure {v} and {w}, respectively.",
        f"The volumes of the {a} and the {b} are {v} and {w}.", f"{_capital(a)}: {v}; {b}: {w}.",
    ]  # fmt: skip
    yield _claim(rng.choice(texts), "s2")
    row = next(r for r in reading.rows if r.quantity == "volume_ratio")
    x, y = (readable(part.rpartition(" of ")[2].strip()) for part in row.method.split("÷"))
    yield _claim(f"The ratio of the {x} to the {y} by volume is {row.value:.2f}.", "s2")
    target = volumes[0].target
    pair = [
        r.value
        for q in ("longest_diameter", "perpendicular_diameter")
        for r in reading.rows
        if (r.target, r.quantity) == (target, q)
    ]
    yield _claim(f"The {readable(target)} measures {pair[0]:.0f} × {pair[1]:.0f} mm.", "s2")


def _scored(reading: MadeReading, rng: Random) -> Iterator[Claim]:
    for row in reading.scores:
        relation = rng.choice(("at or above", "above")) if row.above else rng.choice(("below", "under"))
        if row.above is not None and abs(row.score - (row.operating_point or 0)) < 1e-9:
            relation = "at or above"
        text = rng.choice(_SCORE)
        label = row.label
        yield Claim(
            text=text.format(
                l=label, L=_capital(label), s=f"{row.score:.2f}", o=f"{row.operating_point:.2f}", r=relation
            ),
            evidence=("s3",),
            kind="model score",
        )


def _other(reading: MadeReading, rng: Random) -> Iterator[Claim]:
    for report_id, sentence in reading.foreign.items():
        yield Claim(text=rng.choice(_QUOTE).format(q=sentence), evidence=(report_id,), kind="quoted")
    yield Claim(text=f"The attached report says: “{rng.choice(reading.own)}”", evidence=("rep1",), kind="quoted")
    yield Claim(text=rng.choice(reading.own), evidence=("rep1",), kind="described")
    yield Claim(text=f"The model's opinion: “{reading.opinion}”", evidence=("s5",), kind="model opinion")
    names = ", ".join(map(readable, reading.outlined))
    yield _claim(f"Outlined in img1 by organs: {names}.", "s1", "described")
    yield _claim(f"The {readable(reading.outlined[0])} was segmented automatically.", "s1", "described")
    yield _claim(f"Looked for and not found: {readable(reading.not_found[0])}.", "s1", "described")
    yield _claim(f"{reading.modality}, 512 × 512 × 133 voxels, 0.70 × 0.70 × 2.50 mm.", "img1", "described")


def _claim(text: str, evidence: str, kind: str = "measured") -> Claim:
    return Claim(text=text, evidence=(evidence,), kind=kind)  # type: ignore[arg-type]  # one of its literals


def value_text(row: Measurement, rng: Random) -> str:
    """Return a value in one of the forms that people use."""
    if row.unit == "ml":
        litres = f"{row.value / 1000:.1f}"
        forms = [
            shown(row.value, "ml"),
            f"{row.value:.0f} ml",
            f"{row.value:.0f} mL",
            f"{row.value:.0f} cc",
            f"{row.value:.0f} cm³",
        ]
        forms += [f"{row.value:,.1f} millilitres", f"{row.value:.0f} milliliters", f"approximately {row.value:,.0f} ml"]
        if row.value >= 1000:
            whole, decimal = litres.split(".")
            forms += [f"{litres} l", f"{litres} L", f"{litres} litres", f"{litres} liters", f"about {litres} l"]
            forms += [
                f"{CARDINALS[int(whole)]} point {CARDINALS[int(decimal)]} litres",
                f"{row.value / 1000:.2f} liters",
            ]
        return rng.choice(forms)
    if row.unit == "mm":
        return rng.choice(
            [shown(row.value, "mm"), f"{row.value:.0f} mm", f"{row.value / 10:.1f} cm", f"{row.value:.0f} millimeters"]
        )
    if row.unit == "HU":
        return rng.choice([shown(row.value, "HU"), f"{row.value:.0f} HU", f"{row.value:.1f} Hounsfield units"])
    return rng.choice([shown(row.value, row.unit), f"{row.value:.0f} cm²", f"{row.value:.0f} square centimetres"])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _modality(reading: MadeReading, rng: Random) -> str:
    return rng.choice(
        {"CT": ("CT", "this CT scan", "computed tomography"), "MR": ("MRI", "this MR scan")}[reading.modality]
    )
