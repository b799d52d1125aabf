from __future__ import annotations

import hashlib
import threading
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from tools.errors import NotFoundError, UnavailableError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.models import installed, runtimes
from tools.models.card import ModelCard, Weights
from tools.models.hub import Hub

CHEST = AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3)
WHOLE_BODY = ("totalsegmentator-", "monai-vista3d", "monai-whole-body-ct")
"""Which of them depends on the weights and packages that are here."""
HEAD_MR = AttachmentFacts(id="img1", modality="MR", body_part="HEAD", dims=3)


def card(name: str, **fields: Any) -> ModelCard:
    given = {"targets": ("lungs",), "modality": ("CT",), "dims": (3,), "requires": "it needs air", "seconds": 1.0}
    return ModelCard(
        name=name, title=name, verb="segment", version="1", licence="MIT", source="test",
        **({"runtime": "hu_threshold"} | given | fields),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "targets", "name"),
    [
        (CHEST, ("lungs",), "ct-chest-threshold"),
        (CHEST, ("left lung",), "ct-chest-threshold"),
        (CHEST, ("lungs", "bones"), "ct-chest-threshold"),
        (CHEST.model_copy(update={"body_part": ""}), ("lungs",), "ct-chest-threshold"),
        (CHEST.model_copy(update={"body_part": "HEAD"}), ("bones",), "ct-body-threshold"),
        (HEAD_MR, ("brain",), "deepbet"),
        (HEAD_MR.model_copy(update={"body_part": "ABDOMEN"}), ("liver",), "totalsegmentator-"),
        (CHEST.model_copy(update={"body_part": "ABDOMEN"}), ("kidneys", "aorta"), WHOLE_BODY),
        (CHEST, ("left upper lobe",), WHOLE_BODY),
        (HEAD_MR.model_copy(update={"body_part": ""}), ("brain",), "deepbet"),
    ],
)
def test_the_installed_hub_chooses_on_facts_alone(
    facts: AttachmentFacts, targets: tuple[str, ...], name: str | tuple[str, ...]
) -> None:
    choice = Hub.installed().choose("segment", facts, targets)
    assert choice.card.name.startswith(name)
    assert choice.reason


def test_other_verbs_have_models_too() -> None:
    hub = Hub.installed()
    film = AttachmentFacts(id="img1", modality="CR", body_part="CHEST", dims=2)
    assert hub.choose("classify", film, ("Pleural effusion", "pneumonia")).card.verb == "classify"
    assert hub.choose("detect", CHEST, ("nodule",)).card.verb == "detect"
    assert hub.choose("ground", film).card.verb == "ground"
    assert hub.choose("answer", AttachmentFacts(id="img1", modality="US", dims=2)).card.verb == "answer"
    with pytest.raises(UnsupportedError, match="img1 is CT, CR or DX is needed"):
        hub.choose("classify", CHEST, ("pneumonia",))


@pytest.mark.parametrize(
    ("facts", "targets", "reason"),
    [
        (HEAD_MR, ("lungs",), "img1 shows HEAD, which holds no lungs"),
        (HEAD_MR.model_copy(update={"body_part": "KNEE"}), ("kidneys",), "holds no kidney left, no kidney right"),
        (AttachmentFacts(id="img1", modality="US", dims=3), ("lungs",), "img1 is US, CT is needed: lungs are found"),
        (AttachmentFacts(id="img1", modality="CR", body_part="CHEST", dims=2), ("bones",), "img1 is CR, CT is needed"),
        (CHEST.model_copy(update={"body_part": "HEAD"}), ("lungs",), "img1 shows HEAD, which holds no lungs"),
        (CHEST.model_copy(update={"dims": 2}), ("lungs",), "img1 is 2-D, 3-D is needed"),
        (CHEST.model_copy(update={"modality": ""}), ("lungs",), "does not say its modality"),
        (CHEST, ("lungz",), r"can segment 'lungz'; nearest: lungs"),
    ],
)
def test_a_refusal_gives_the_reason(facts: AttachmentFacts, targets: tuple[str, ...], reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        Hub.installed().choose("segment", facts, targets)


def test_targets_that_no_single_model_finds_are_told_apart() -> None:
    hub = Hub([card("air"), card("blood", targets=("aorta",))])
    with pytest.raises(UnsupportedError, match="lungs: air; aorta: blood"):
        hub.choose("segment", CHEST, ("lungs", "aorta"))


def test_a_verb_without_cards_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="no model card serves 'ground'"):
        Hub([card("air")]).choose("ground", CHEST)


def test_ready_comes_before_missing_weights_and_tested_before_untested() -> None:
    absent = card("a-absent", trust="tested", weights=Weights(file="absent.pt"))
    untested, tested = card("b-untested"), card("c-tested", trust="tested", seconds=9.0)
    choice = Hub([absent, untested, tested]).choose("segment", CHEST, ("lungs",))
    assert choice.card is tested
    assert "preferred for lungs on CT CHEST to b-untested, a-absent" in choice.reason


def test_a_card_without_its_weights_is_still_capability() -> None:
    absent = card("absent", targets=("liver",), weights=Weights(file="absent.pt", get="ask its publisher"))
    hub = Hub([absent])
    assert hub.choose("segment", CHEST, ("liver",)).card is absent
    assert hub.status(absent).state == "needs weights"
    assert "ask its publisher" in hub.status(absent).remedy
    with pytest.raises(UnavailableError, match="needs weights"):
        hub.runtime(absent)


def test_states_and_their_remedies(tmp_path: Path) -> None:
    extra = card("extra", extra="no_such_module", extra_install="pip install thing")
    large = card("large", device_memory_mb=9000, cpu_fallback=False)
    slow = card("slow", device_memory_mb=9000)
    foreign = card("foreign", runtime="warp-drive")
    hub = Hub([extra, large, slow, foreign], device="cuda", device_memory_mb=8000, weights_dir=tmp_path)
    assert (hub.status(extra).state, "pip install thing" in hub.status(extra).remedy) == ("needs extra", True)
    assert (hub.status(large).state, "9000 MB" in hub.status(large).remedy) == ("too large", True)
    assert (hub.status(slow).state, "on the CPU: needs 9000 MB, cuda has" in hub.status(slow).remedy) == ("ready", True)
    assert (hub.status(foreign).state, "warp-drive" in hub.status(foreign).remedy) == ("needs extra", True)


def test_weights_are_checked_before_they_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(b"weights")
    right = hashlib.sha256(b"weights").hexdigest()
    good = card("good", weights=Weights(file="net.pt", sha256={"net.pt": right}))
    bad = card("bad", weights=Weights(file="net.pt", sha256={"net.pt": "0" * 64}))
    hub = Hub([good, bad], weights_dir=tmp_path)
    assert hub.runtime(good) is not None
    assert hub.model_use(good, "because", "cpu").weights_sha256 == right
    with pytest.raises(UnavailableError, match="must have sha256 0000"):
        hub.runtime(bad)


def _load_linear(loading: Any) -> object:
    import torch

    module = torch.nn.Linear(3, 3)
    module.load_state_dict(torch.load(loading.weights["net.pt"], weights_only=True))
    return module


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("wrong shape", "size mismatch for weight"),
        ("pickle", "Weights only load failed"),
        ("text", "could not be loaded"),
    ],
)
def test_weights_that_are_none_of_this_model_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, reason: str
) -> None:
    import torch

    path = tmp_path / "net.pt"
    match content:
        case "wrong shape":
            torch.save(torch.nn.Linear(4, 4).state_dict(), path)
        case "pickle":
            torch.save({"weight": Path("/")}, path)  # an object that only unpickling code could make
        case _:
            path.write_text("not found\n")
    monkeypatch.setattr("tools.models.lending.loader_of", lambda name: _load_linear)
    hub = Hub([card("net", weights=Weights(file="net.pt"))], weights_dir=tmp_path)
    with pytest.raises(UnavailableError, match="the weights of model 'net' could not be loaded") as caught:
        hub.runtime(hub.get("net"))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "readingroom models get net" in str(caught.value)


def test_a_bug_of_a_runtime_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.models.lending.loader_of", lambda name: lambda loading: loading.no_such_thing)
    hub = Hub([card("net")], weights_dir=tmp_path)
    with pytest.raises(AttributeError):
        hub.runtime(hub.get("net"))


def test_a_runtime_is_loaded_once_and_shared_between_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[int] = []

    def load(loading: object) -> object:
        time.sleep(0.05)
        loads.append(1)
        return object()

    monkeypatch.setattr("tools.models.runtimes.hu_threshold.load", load)
    hub, seen = Hub([card("air")]), []
    threads = [threading.Thread(target=lambda: seen.append(hub.runtime(hub.get("air")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert len(set(map(id, seen))) == 1


def test_an_unknown_card_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="there are: air"):
        Hub([card("air")]).get("water")


def test_every_runtime_that_cards_may_name_can_be_imported() -> None:
    from importlib import import_module

    for target in runtimes.RUNTIMES.values():
        module, _, function = target.partition(":")
        assert callable(getattr(import_module(module), function))


class Entry(EntryPoint):
    """An entry point of another package."""

    dist = None


def entries(monkeypatch: pytest.MonkeyPatch, *found: EntryPoint) -> None:
    monkeypatch.setattr(installed, "entry_points", lambda group: found)


CARD_TEXT = """
name = "{name}"
title = "T"
verb = "segment"
runtime = "hu_threshold"
version = "1"
seconds = 1
licence = "MIT"
source = "test"
"""


def test_other_packages_bring_folders_of_cards_and_broken_ones_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good.toml").write_text(CARD_TEXT.format(name="good"))
    (tmp_path / "again.toml").write_text(CARD_TEXT.format(name="good"))
    (tmp_path / "corrupt.toml").write_text("name = [")
    plugin = tmp_path / "lab_cards.py"
    plugin.write_text(f"from pathlib import Path\nfolder = Path({str(tmp_path)!r})\nmissing = folder / 'none'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    entries(
        monkeypatch,
        Entry("lab", "lab_cards:folder", installed.GROUP),
        Entry("gone", "lab_cards:missing", installed.GROUP),
        Entry("bang", "no_such_module:cards", installed.GROUP),
    )
    hub = Hub.installed()
    assert [c.name for c in hub.cards] == ["good"]
    reasons = {b.name: b.reason for b in hub.broken}
    assert set(reasons) == {"good", "corrupt.toml", "gone", "bang"}
    assert "no valid TOML" in reasons["corrupt.toml"]
    assert "there already" in reasons["good"]
    assert "ModuleNotFoundError" in reasons["bang"]


def test_the_installed_cards_are_all_readable() -> None:
    assert not Hub.installed().broken


def test_a_runtime_that_is_spelt_wrong_is_named_with_the_one_meant() -> None:
    given = {"name": "net", "title": "Net", "verb": "segment", "version": "1", "seconds": 1, "licence": "MIT"}
    card = ModelCard.model_validate(given | {"source": "test", "runtime": "torchscrip"})
    assert Hub([card]).status(card).remedy.endswith("did its card mean 'torchscript'?")
