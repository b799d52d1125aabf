"""Radiomics through the verb, against mirp called directly and against what is known of a ball."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.tools.measuring.conftest import Measure, context, rows_of
from tools.claims import claims_of
from tools.errors import CancelledError, UnavailableError, UnsupportedError
from tools.imaging.volume import Volume
from tools.measuring import radiomics as module
from tools.verbs.measure import measure
from tools.workspace import Artifact, Provenance

RADIUS_MM = 14.0


def ball() -> tuple[Volume, np.ndarray]:
    """A ball of noisy 50 HU in −100 HU, 1 × 1 × 2 mm."""
    x, y, z = np.ogrid[-24:24, -24:24, -12:12]
    inside = x**2 + y**2 + (2 * z) ** 2 <= RADIUS_MM**2
    values = np.where(inside, 50, -100) + np.random.default_rng(5).integers(-30, 30, inside.shape)
    volume = Volume(values.astype(np.int16), np.diag([1, 1, 2.0, 1]), spacing_source="NIfTI header", units="HU")
    return volume, inside


def test_features_of_a_ball(measured: Measure) -> None:
    volume, inside = ball()
    result = measured(volume, {"lesion": inside}, "radiomics")
    rows = rows_of(result, "lesion")
    assert len(rows) > 150
    assert rows["ibsi_morph_volume"].value == pytest.approx(4 / 3 * math.pi * 1.4**3, rel=0.05)
    assert rows["ibsi_morph_volume"].unit == "ml"
    assert rows["ibsi_morph_sphericity"].value == pytest.approx(
        0.93, abs=0.03
    )  # a mesh of 2 mm stairs is larger than a ball
    assert rows["ibsi_morph_diam"].value == pytest.approx(2 * RADIUS_MM, rel=0.1)
    assert rows["ibsi_stat_median"].value == pytest.approx(50, abs=10)  # its border is mixed with what lies around
    assert rows["ibsi_stat_mean"].unit == "HU"
    assert rows["ibsi_morph_volume"].spacing_source == "NIfTI header"
    assert "mirp" in rows["ibsi_morph_volume"].method
    assert "25 HU" in rows["ibsi_morph_volume"].method
    assert f"{len(rows)} IBSI radiomics features" in result.summary
    by = Provenance(tool="measure", tool_version="0", params={}, inputs=("s1",))
    data = result.model_dump(mode="json")
    claims = claims_of(Artifact(id="s2", kind="measurements", summary=result.summary, data=data, provenance=by))
    assert [c.text for c in claims] == ["Radiomics features of the lesion are in the table."]


def test_too_few_voxels_and_a_single_image_are_refused(measured: Measure) -> None:
    volume, inside = ball()
    tiny = np.zeros_like(inside)
    tiny[5, 5, 5] = True
    with pytest.raises(UnsupportedError, match="needs 8 voxels or more, lesion has 1"):
        measured(volume, {"lesion": tiny}, "radiomics")


def test_structures_of_one_image_share_a_child_and_keep_their_own_features(
    measured: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    start: Callable[..., module.subprocess.Popen[bytes]] = module.subprocess.Popen

    def remember(*args: object, **keywords: object) -> module.subprocess.Popen[bytes]:
        started.append(args)
        return start(*args, **keywords)

    monkeypatch.setattr(module.subprocess, "Popen", remember)
    volume, inside = ball()
    half, tiny = inside.copy(), np.zeros_like(inside)
    half[24:] = False
    tiny[5, 5, 5] = True
    result = measured(volume, {"whole": inside, "tiny": tiny, "half": half}, "radiomics")
    ml = {name: rows_of(result, name)["ibsi_morph_volume"].value for name in ("whole", "half")}
    assert ml["whole"] == pytest.approx(11.5, rel=0.05)
    assert ml["half"] == pytest.approx(ml["whole"] / 2, rel=0.1)
    assert not rows_of(result, "tiny")
    assert any("radiomics was not measured: radiomics needs 8 voxels or more, tiny has 1" in n for n in result.notes)
    assert len(started) == 1


def test_without_mirp_it_says_what_to_install(measured: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise module.PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", missing)
    with pytest.raises(UnavailableError, match=r"pip install 'readingroom\[radiomics\]'"):
        measured(*_lesion(), "radiomics")


def _lesion() -> tuple[Volume, dict[str, np.ndarray]]:
    volume, inside = ball()
    return volume, {"lesion": inside}


def test_cancelling_stops_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[module.subprocess.Popen[bytes]] = []
    start: Callable[..., module.subprocess.Popen[bytes]] = module.subprocess.Popen

    def remember(*args: object, **keywords: object) -> module.subprocess.Popen[bytes]:
        children.append(start(*args, **keywords))
        return children[-1]

    monkeypatch.setattr(module.subprocess, "Popen", remember)
    ctx = context(tmp_path, *_lesion())
    object.__setattr__(ctx, "is_cancelled", lambda: bool(children))
    with pytest.raises(CancelledError):
        measure(ctx, mask="s1", quantities=["radiomics"])
    assert [child.poll() is not None for child in children] == [True]
