"""The servers in docs/examples for FastSurfer, CheXagent-2 and MAIRA-2, in front of stand-ins for the real programs."""

from __future__ import annotations

import runpy
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.tools.models.remote.processes import running
from tests.tools.models.remote.test_remote import silent
from tools.errors import UnavailableError, UnsupportedError
from tools.imaging.geometry import to_orientation
from tools.imaging.raster import PICTURE_AFFINE
from tools.imaging.volume import Volume
from tools.models.hub import Choice, Hub

EXAMPLES = Path(__file__).parents[4] / "docs" / "examples"

FASTSURFER = """#!{python}
import pathlib, sys
import nibabel as nib, numpy as np
from nibabel.processing import conform
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if "--fail" in sys.argv:
    sys.exit("no licence")
image = conform(nib.load(given["--t1"]), (64, 64, 64), (1.0, 1.0, 1.0), order=0, orientation="LIA")
labels = np.where(np.asarray(image.dataobj) > 150, 17, np.where(np.asarray(image.dataobj) > 50, 1002, 0))
place = pathlib.Path(given["--sd"]) / given["--sid"] / "mri"
place.mkdir(parents=True)
nib.save(nib.MGHImage(labels.astype(np.int32), image.affine), place / "aparc.DKTatlas+aseg.deep.mgz")
"""

TRANSFORMERS = """
import numpy as np, torch
from PIL import Image

class Model:
    def to(self, device): return self
    def eval(self): return self
    def generate(self, ids=None, **given):
        ids = given["input_ids"] if ids is None else ids
        return torch.cat([ids, torch.tensor([[7, 8]])], 1)

class Reader:
    def from_list_format(self, parts): return parts
    def apply_chat_template(self, turns, **settings):
        self.said = turns[1]["value"]
        return torch.tensor([[1, 2, 3]])
    def decode(self, ids, **settings):
        assert ids.tolist() == [7, 8]
        if not hasattr(self, "said"):
            return " grounded"
        rows, columns = np.argwhere(np.asarray(Image.open(self.said[0]["image"]))[..., 0] == 255).max(0)
        return f"{self.said[1]['text']} brightest to row {rows}, column {columns}"
    def format_and_preprocess_phrase_grounding_input(self, frontal_image, phrase, return_tensors):
        class Inputs(dict):
            def to(self, device): return self
        self.size = frontal_image.size
        return Inputs(input_ids=torch.tensor([[1, 2, 3]]))
    def convert_output_to_plaintext_or_grounded_sequence(self, text):
        assert text == "grounded"
        return [("phrase", [(0.25, 0.5, 0.75, 1.0)]), ("elsewhere", None)]
    def adjust_box_for_original_image_size(self, box, width, height):
        assert (width, height) == self.size == (41, 21)
        return box

class _Auto:
    def __init__(self, made): self.made = made
    def from_pretrained(self, folder, **settings):
        assert folder == "FOLDER" and settings["trust_remote_code"]
        return self.made()

AutoModelForCausalLM, AutoTokenizer, AutoProcessor = _Auto(Model), _Auto(Reader), _Auto(Reader)
"""


def use(name: str, url: str) -> tuple[Hub, Choice]:
    """The card of ours, with the port that this test's server has."""
    ours = Hub.installed().get(name)
    card = ours.model_copy(update={"options": {**ours.options, "url": url}})
    return Hub([card]), Choice(card, "the test")


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("stand-ins")
    program = folder / "run_fastsurfer.sh"
    program.write_text(FASTSURFER.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "transformers.py").write_text(TRANSFORMERS)
    film = ("-c", f"import sys; sys.path[:0] = [{str(EXAMPLES)!r}, {str(folder)!r}]; import runpy; "
            f"runpy.run_path({str(EXAMPLES / 'film_model_server.py')!r}, run_name='__main__')")  # fmt: skip
    surfer = (str(EXAMPLES / "fastsurfer_server.py"), str(program), "0")
    commands = {
        "fastsurfer": surfer, "failing": (*surfer, "--fail"),
        "chexagent-2-3b": (*film, "chexagent-2-3b", "FOLDER", "0"),
        "maira-2": (*film, "maira-2", "FOLDER", "0"),
    }  # fmt: skip
    with running({name: (sys.executable, *command) for name, command in commands.items()}) as addresses:
        yield addresses


def head() -> Volume:
    """Brain of 100 with a small bright block nearer to the left and the feet, lying as PLS."""
    array = np.zeros((30, 32, 34), np.int16)
    array[4:26, 5:27, 6:28] = 100
    array[6:12, 8:20, 8:13] = 200
    upright = Volume(array, np.diag([1.0, 1.0, 1.0, 1.0]), spacing_source="NIfTI header", modality="MR")
    return to_orientation(upright, "PLS")


def test_fastsurfers_labels_come_back_on_the_images_own_grid(urls: dict[str, str]) -> None:
    hub, choice = use("fastsurfer", urls["fastsurfer"])
    volume = head()
    targets = ["hippocampus_left", "gray_matter", "thalamus_left"]
    found = hub.use(choice, lambda model: model.segment(volume, targets, silent)).value
    assert np.array_equal(found.masks["hippocampus_left"], volume.array > 150)
    assert np.array_equal(found.masks["gray_matter"], (volume.array > 50) & (volume.array < 150))
    assert not found.masks["thalamus_left"].any()
    assert found.notes == ("gray_matter is the cortex of the cerebrum, without the nuclei",)


def test_a_program_that_fails_is_quoted(urls: dict[str, str]) -> None:
    hub, choice = use("fastsurfer", urls["failing"])
    with pytest.raises(UnavailableError, match="FastSurfer ended with code 1: no licence"):
        hub.use(choice, lambda model: model.segment(head(), ["brainstem"], silent))


def film() -> Volume:
    """A picture of 41 across and 21 down, white from column 30 to 35 and from row 4 to 9."""
    array = np.zeros((41, 21, 1), np.uint16)
    array[30:36, 4:10] = 4000
    return Volume(array, PICTURE_AFFINE, modality="DX", body_part="CHEST")


def test_a_question_on_a_film_is_answered(urls: dict[str, str]) -> None:
    hub, choice = use("chexagent-2-3b", urls["chexagent-2-3b"])
    said = hub.use(choice, lambda model: model.answer(film(), "Where is it white?", silent)).value
    assert said == "Where is it white? brightest to row 9, column 35"


def test_boxes_of_a_phrase_lie_on_the_films_own_pixels(urls: dict[str, str]) -> None:
    hub, choice = use("maira-2", urls["maira-2"])
    (box,) = hub.use(choice, lambda model: model.ground(film(), "opacity", silent)).value.boxes
    assert (box.label, box.lower, box.upper, box.score) == ("opacity", (10, 10, 0), (30, 20, 0), None)


def test_a_verb_that_the_model_does_not_serve_is_refused(urls: dict[str, str]) -> None:
    hub, choice = use("maira-2", urls["maira-2"])
    with pytest.raises(UnsupportedError, match="maira-2 serves ground, not answer"):
        hub.use(choice, lambda model: model.answer(film(), "What is it?", silent))


@pytest.mark.parametrize("name", ["fastsurfer", "chexagent-2-3b", "maira-2"])
def test_without_its_server_a_card_says_what_starts_it(name: str) -> None:
    hub, choice = use(name, "http://127.0.0.1:9/")
    status = hub.status(choice.card)
    assert status.state == "needs extra"
    assert status.remedy.startswith("nothing answers at http://127.0.0.1:9; start its server: python docs/examples/")
    assert (EXAMPLES.parent.parent / status.remedy.split("python ")[1].split()[0]).is_file()


def test_the_labels_of_fastsurfer_are_the_cards_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    labels = runpy.run_path(str(EXAMPLES / "fastsurfer_server.py"))["LABELS"]
    assert set(labels) == set(Hub.installed().get("fastsurfer").targets)
