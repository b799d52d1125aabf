"""What a browser uploads becomes attachments."""

from tests.phantoms import phantom_volume
from tools.imaging.read import list_series
from ui.uploads import Amount, ReadingLimits, bring, held_by

LIMITS = ReadingLimits(max_files=100, max_mb=2)


def _nifti(path):
    from tools.imaging.read import write_nifti

    volume = phantom_volume()
    write_nifti(path, volume.array, volume)
    return path


def test_nifti_files_stay_single(tmp_path):
    paths = [_nifti(tmp_path / "a.nii.gz"), _nifti(tmp_path / "b.nii.gz")]
    assert [(b.name, b.problem, b.series) for b in bring(paths, LIMITS)] == [("a.nii.gz", "", ()), ("b.nii.gz", "", ())]


def test_dicom_files_that_come_together_are_one_folder(tmp_path):
    from tests.phantoms import write_dicom_series

    upload = tmp_path / "session" / "upload"
    upload.mkdir(parents=True)
    paths = sorted(write_dicom_series(upload, phantom_volume()))
    (together,) = bring(paths, LIMITS)
    assert together.name == f"{len(paths)} DICOM files"
    assert together.path.is_dir()
    assert [s.images for s in list_series(together.path)] == [len(paths)]
    assert not together.must_choose


def test_two_series_are_offered_to_choose_from(tmp_path):
    from tests.phantoms import write_dicom_series

    def second(dataset, k):
        dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.2"

    paths = write_dicom_series(tmp_path / "session" / "one", phantom_volume())
    paths += write_dicom_series(tmp_path / "session" / "two", phantom_volume(), edit=second)
    (together,) = bring(sorted(paths), LIMITS)
    assert together.must_choose
    assert [s.number for s in together.series] == [1, 2]


def test_a_file_that_is_no_image_says_why(tmp_path):
    path = tmp_path / "notes.dcm"
    path.write_text("not an image", encoding="utf-8")
    (item,) = bring([path], LIMITS)
    assert "is not DICOM" in item.problem


def test_a_report_is_attached_as_text(tmp_path):
    path = tmp_path / "prior.txt"
    path.write_text("FINDINGS: clear.", encoding="utf-8")
    (item,) = bring([path], LIMITS)
    assert item.problem == ""


def test_too_many_files_are_refused_together_and_unopened(tmp_path):
    (item,) = bring([tmp_path / f"{n}.dcm" for n in range(101)], LIMITS)  # none is there: looking would fail
    assert item.name == "101 files"
    assert "more than the 100 " in item.problem
    assert "READINGROOM_MAX_UPLOAD_FILES" in item.problem


def test_what_a_reading_holds_is_added_to_what_comes(tmp_path):
    from tools.facts import AttachmentFacts
    from tools.workspace import Workspace

    workspace = Workspace(tmp_path / "reading")
    series = tmp_path / "series"
    series.mkdir()
    for number in range(3):
        (series / f"{number}.dcm").write_bytes(b"x" * 300_000)
    workspace.add_attachment(series, AttachmentFacts(id="img1"))
    held = held_by(workspace)
    assert held == Amount(files=3, size=900_000)
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_bytes(b"x" * 1_100_000)
    large.write_bytes(b"x" * 1_100_001)
    assert bring([small], LIMITS, held)[0].problem == ""
    (item,) = bring([large], LIMITS, held)
    assert item.name == "large.txt"
    assert "more than the 2 MB that one may hold here (READINGROOM_MAX_UPLOAD_MB): begin a new reading" in item.problem
    (item,) = bring([tmp_path / f"{n}.dcm" for n in range(98)], LIMITS, held)  # none is there: looking would fail
    assert "101 files" in item.problem
