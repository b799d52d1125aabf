"""The guard's table: which images it refuses for which work, against what a person says they are.

To write the table of docs/guard.md anew: python -m tests.tools.guard_cases
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np

from agent.attach import Attach, _facts
from agent.errors import AttachmentError
from tools.facts import AttachmentFacts, Requires

FILM = Requires(modality=("CR", "DX"), body_part=("CHEST", "THORAX", "LUNG"), dims=(2,), view=("PA", "AP"), reason="x")
CHEST_CT = Requires(modality=("CT",), body_part=("CHEST", "THORAX", "LUNG"), reason="x")
HEAD_MR = Requires(modality=("MR",), body_part=("HEAD", "BRAIN"), reason="x")
WORK: Mapping[str, Requires] = {"frontal chest film": FILM, "chest CT": CHEST_CT, "head MR": HEAD_MR}

# What the pydicom files show, by the beginning of their name, as we saw them; what is not listed is none of the three.
FILMS = ("RG1",)
CHEST_CTS = ("CT_small",)
Verdict = Literal["right refusal", "wrong refusal", "right pass", "pass with a doubt", "wrong pass", "not readable"]
VERDICTS: tuple[Verdict, ...] = (
    "right refusal", "wrong refusal", "right pass", "pass with a doubt", "wrong pass", "not readable",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One image, the work that is asked for, and whether it is fit for that."""

    group: str
    name: str
    work: str
    fits: bool
    facts: AttachmentFacts | None
    """None where the image could not be read."""

    @property
    def verdict(self) -> Verdict:
        """What the guard does with it."""
        if self.facts is None:
            return "not readable"
        if WORK[self.work].refusal(self.facts):
            return "wrong refusal" if self.fits else "right refusal"
        if self.fits:
            return "right pass"
        return "pass with a doubt" if WORK[self.work].unsure(self.facts) else "wrong pass"


def looked_at(path: Path, stated: str | None) -> AttachmentFacts | None:
    """Return the facts of a file as attaching it gives them, or None where it is refused as a file."""
    from tools.errors import ToolError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _facts(SimpleNamespace(next_id=lambda kind: "img1"), Attach(path, modality=stated), path, None)
    except (AttachmentError, ToolError):
        return None


def dicom_cases(folder: Path) -> Iterator[Case]:
    """Every DICOM file of a folder, asked for each kind of work; headers are as they are."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in (".py", ".pyc", ".json", ".txt", ".toml", ".dump", ".gz", ".zip"):
            continue
        facts = looked_at(path, None)
        for work in WORK:
            fits = path.name.startswith(
                FILMS if work == "frontal chest film" else CHEST_CTS if work == "chest CT" else "~"
            )
            yield Case("DICOM", path.name, work, fits, facts)


def picture_cases(folders: list[Path], scratch: Path) -> Iterator[Case]:
    """Photographs, textures and drawings, in colour and in gray, attached by a person who calls them chest films."""
    from PIL import Image

    for path in [p for folder in folders for p in sorted(folder.glob("*")) if p.suffix in (".png", ".jpg", ".jpeg")]:
        with Image.open(path) as picture:
            gray = picture.convert("RGB").convert("L")
        for kind, image in (("colour", None), ("gray", gray)):
            if image is not None:
                made = scratch / f"{path.stem}-gray.png"
                image.save(made)
            facts = looked_at(path if image is None else made, "CR")
            yield Case(f"pictures, {kind}", path.name, "frontal chest film", False, facts)


def fresh_pictures() -> list[Path]:
    """Photographs that come with other packages; no threshold was set on them."""
    from importlib.util import find_spec

    found = []
    for package, folder in (
        ("matplotlib", "mpl-data/sample_data"), ("gradio", "media_assets/images"), ("gradio", "test_data"),
    ):  # fmt: skip
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            found += sorted(p for p in (Path(spec.origin).parent / folder).glob("*.jp*g") if "copy" not in p.name)
    return found


def fresh_cases(scratch: Path) -> Iterator[Case]:
    """Those photographs in gray, whole and in nine parts each, attached by a person who calls them chest films."""
    from PIL import Image

    for path in fresh_pictures():
        with Image.open(path) as picture:
            gray = np.asarray(picture.convert("RGB").convert("L"))
        height, width = gray.shape
        parts = {"whole": gray}
        for row in range(3):
            for column in range(3):
                top, left = row * height // 4, column * width // 4
                parts[f"part {row}{column}"] = gray[top : top + height // 2, left : left + width // 2]
        for name, array in parts.items():
            made = scratch / f"{path.stem}-{name}.png".replace(" ", "-")
            Image.fromarray(array).save(made)
            yield Case(
                "other photographs, gray, whole and in parts", f"{path.name} {name}", "frontal chest film", False,
                looked_at(made, "CR"),
            )  # fmt: skip


def processed_cases(film: np.ndarray, name: str, scratch: Path) -> Iterator[Case]:
    """A true film as workstations and bedside work leave it: three positions, each with one more change."""
    from PIL import Image, ImageDraw, ImageFont
    from scipy.ndimage import gaussian_filter, rotate
    from skimage.exposure import equalize_adapthist

    rng = np.random.default_rng(0)
    height, width = film.shape
    positions = {
        "straight": film, "turned by −12°": rotate(film, -12, reshape=False),
        "cut": film[int(0.1 * height) : int(0.85 * height), int(0.12 * width) : int(0.85 * width)],
    }  # fmt: skip
    for position, array in positions.items():
        given = np.clip(array, 0, 1)
        lettered = Image.fromarray((given * 255).astype(np.uint8))
        draw = ImageDraw.Draw(lettered)
        for part in (0.05, 0.5, 0.9):
            draw.text((0.1 * lettered.width, part * lettered.height), "PORTABLE AP 12:30", 255,
                      ImageFont.load_default(size=lettered.height // 16))  # fmt: skip
        states = {
            "with noise": given + rng.normal(0, 0.2, given.shape), "lettered": np.asarray(lettered) / 255,
            "equalized": equalize_adapthist(given, clip_limit=0.02),
            "sharpened": given + 2 * (given - gaussian_filter(given, given.shape[1] / 60)),
        }  # fmt: skip
        for state, changed in states.items():
            path = scratch / f"{name}-{position}-{state}.png".replace(" ", "-")
            Image.fromarray((np.clip(changed, 0, 1) * 255).astype(np.uint8)).save(path)
            case = f"{name} {position}, {state}"
            yield Case("films as PNG, processed", case, "frontal chest film", True, looked_at(path, "CR"))


def film_cases(film: np.ndarray, name: str, scratch: Path) -> Iterator[Case]:
    """A true film (rows, columns; 0 to 1) as PNG, in states that films come in; not all of them fit."""
    from PIL import Image
    from scipy.ndimage import rotate

    height, width = film.shape
    white = film.copy()
    white[int(0.15 * height) : int(0.85 * height), int(0.52 * width) : int(0.95 * width)] = np.percentile(film, 92)
    effusion = film.copy()
    effusion[int(0.55 * height) :, int(0.52 * width) :] = np.percentile(film, 92)
    lower = film.copy()
    lower[int(0.4 * height) :] = np.maximum(lower[int(0.4 * height) :], np.percentile(film, 85))
    fit = {
        "as it is": film, "a white lung": white, "an effusion": effusion, "white lower zones": lower,
        "turned by 8°": rotate(film, 8, reshape=False), "turned by 15°": rotate(film, 15, reshape=False),
        "cropped": film[int(0.1 * height) : int(0.9 * height), int(0.1 * width) : int(0.85 * width)],
        "wide borders": np.pad(film, ((0, 0), (width // 6, width // 6))), "dark": film**2, "bright": film**0.5,
    }  # fmt: skip
    unfit = {"on its side": np.rot90(film), "upside down": film[::-1], "inverted": 1 - film}
    for fits, states in ((True, fit), (False, unfit)):
        for state, array in states.items():
            path = scratch / f"{name}-{state}.png".replace(" ", "-")
            Image.fromarray((np.clip(array, 0, 1) * 255).astype(np.uint8)).save(path)
            group = "films as PNG" if fits else "films on their side, upside down, inverted"
            yield Case(group, f"{name} {state}", "frontal chest film", fits, looked_at(path, "CR"))


def volume_cases(chest: Path, brain: Path, scratch: Path) -> Iterator[Case]:
    """The sample volumes for each kind of work, and a head in Hounsfield units made from the brain template."""
    for name, path, stated, fit in (
        ("sample chest CT", chest, None, "chest CT"),
        ("brain template, said to be MR", brain, "MR", "head MR"),
        ("brain template, said to be CT", brain, "CT", ""),
    ):
        facts = looked_at(path, stated)
        for work in WORK:
            yield Case("volumes", name, work, work == fit, facts)
    made = scratch / "head.nii.gz"
    _write_head(brain, made)
    for work in WORK:
        yield Case("volumes", "head in Hounsfield units (made)", work, False, looked_at(made, None))


def _write_head(brain: Path, to: Path) -> None:
    """Put the brain template into a ring of bone and scalp, in Hounsfield units."""
    from scipy.ndimage import binary_closing, binary_dilation

    from tools.imaging.nifti import write_nifti
    from tools.imaging.read import read_image
    from tools.imaging.volume import Volume

    volume = read_image(brain)
    thick = volume.array[::3, ::3, ::3]
    inside = binary_closing(thick > np.percentile(thick, 60), iterations=2)
    bone = binary_dilation(inside, iterations=3)
    scalp = binary_dilation(bone, iterations=2)
    head = np.where(inside, 35, np.where(bone, 900, np.where(scalp, 20, -1000))).astype(np.int16)
    affine = volume.affine_ras @ np.diag([3.0, 3.0, 3.0, 1.0])
    write_nifti(to, head, Volume(head, affine, spacing_source="NIfTI header"))


def lateral_cases(chest: Path, scratch: Path) -> Iterator[Case]:
    """A lateral film made from the sample CT, as it is, turned and mirrored; no header says that it is one."""
    from PIL import Image
    from scipy.ndimage import rotate

    film = projected(chest, lateral=True)
    for state, array in {
        "as it is": film, "mirrored": film[:, ::-1], "turned by 8°": rotate(film, 8, reshape=False),
        "cut": film[int(0.1 * len(film)) : int(0.9 * len(film))],
    }.items():  # fmt: skip
        path = scratch / f"lateral-{state}.png".replace(" ", "-")
        Image.fromarray((np.clip(array, 0, 1) * 255).astype(np.uint8)).save(path)
        yield Case("lateral films as PNG", f"lateral {state}", "frontal chest film", False, looked_at(path, "CR"))


def projected(chest: Path, *, lateral: bool = False) -> np.ndarray:
    """A film made from the sample CT: (rows, columns) from 0 to 1."""
    from skimage.transform import resize

    from tools.imaging.read import read_image

    density = np.clip(read_image(chest).array[::2, ::2].astype(np.float32) + 1000, 0, None)
    film = np.log1p(density.mean(0 if lateral else 1)).T[::-1]
    film = resize(film, (int(film.shape[0] * 2.5 / 1.406), film.shape[1]), anti_aliasing=True)
    return (film - film.min()) / np.ptp(film)


def table(cases: list[Case]) -> str:
    """Return the counts as a Markdown table."""
    groups = dict.fromkeys((case.group, case.work) for case in cases)
    lines = [f"| images | asked for | {' | '.join(VERDICTS)} |", f"|---|---|{'---|' * len(VERDICTS)}"]
    for group, work in groups:
        counts = Counter(case.verdict for case in cases if (case.group, case.work) == (group, work))
        lines.append(f"| {group} | {work} | {' | '.join(str(counts[v]) for v in VERDICTS)} |")
    return "\n".join(lines) + "\n"


def every_case(samples: Mapping[str, Path], scratch: Path) -> list[Case]:
    """Return all cases.

    Args:
        samples: the files "film", "chest" and "brain".
        scratch: a folder for what is made.
    """
    import pydicom.data
    import skimage

    from tools.imaging.read import read_image

    film = read_image(samples["film"]).array[::4, ::4, 0].T.astype(np.float64)
    film = (film - film.min()) / np.ptp(film)
    pictures = [Path(skimage.__file__).parent / "data"]
    return [
        *dicom_cases(Path(pydicom.data.__file__).parent / "test_files"),
        *dicom_cases(samples["film"].parent),
        *picture_cases(pictures, scratch),
        *fresh_cases(scratch),
        *film_cases(film, "real film", scratch),
        *film_cases(projected(samples["chest"]), "film from the CT", scratch),
        *processed_cases(film, "real film", scratch),
        *processed_cases(projected(samples["chest"]), "film from the CT", scratch),
        *lateral_cases(samples["chest"], scratch),
        *volume_cases(samples["chest"], samples["brain"], scratch),
    ]


def main() -> None:
    """Write the table into docs/guard.md."""
    import re
    import tempfile

    from agent.settings import Settings
    from knowledge.assets import Assets

    assets = Assets(Settings().cache_dir)
    samples = {
        "film": assets.path("dicom-samples", "RG1.dcm"),
        "chest": assets.path("chest-ct", "cxr.nii.gz"),
        "brain": assets.path("brain-t1", "t1.nii.gz"),
    }
    with tempfile.TemporaryDirectory() as folder:
        cases = every_case(samples, Path(folder))
    for case in cases:
        if case.verdict in ("wrong refusal", "wrong pass", "pass with a doubt"):
            print(case.verdict, "|", case.group, "|", case.name, "|", case.work, "|", case.facts)  # noqa: T201
    page = Path(__file__).parents[2] / "docs" / "guard.md"
    mark = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- /table -->)", re.DOTALL)
    page.write_text(mark.sub(table(cases), page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
