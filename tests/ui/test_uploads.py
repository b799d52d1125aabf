"""What a browser uploads becomes attachments."""

from tests.phantoms import phantom_volume
from tools.imaging.read import list_series
from ui.uploads import bring


def _nifti(path):
    from tools.imaging.read import write_nifti

    volume = phantom_volume()
    write_nifti(path, volume.array, volume)
    return path


def test_nifti_files_stay_single(tmp_path):
    paths = [_nifti(tmp_path / "a.nii.gz"), _nifti(tmp_path / "b.nii.gz")]
    assert [(b.name, b.problem, b.series) for b in bring(paths, 100)] == [("a.nii.gz", "", ()), ("b.nii.gz", "", ())]


def test_dicom_files_that_come_together_are_one_folder(tmp_path):
    from tests.phantoms import write_dicom_series

    upload = tmp_path / "session" / "upload"
    upload.mkdir(parents=True)
    paths = sorted(write_dicom_series(upload, phantom_volume()))
    (together,) = bring(paths, 100)
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
    (together,) = bring(sorted(paths), 100)
    assert together.must_choose
    assert [s.number for s in together.series] == [1, 2]


def test_a_file_that_is_no_image_says_why(tmp_path):
    path = tmp_path / "notes.dcm"
    path.write_text("not an image", encoding="utf-8")
    (item,) = bring([path], 100)
    assert "is not DICOM" in item.problem


def test_a_report_is_attached_as_text(tmp_path):
    path = tmp_path / "prior.txt"
    path.write_text("FINDINGS: clear.", encoding="utf-8")
    (item,) = bring([path], 100)
    assert item.problem == ""


def test_too_many_files_are_refused_together_and_unopened(tmp_path):
    (item,) = bring([tmp_path / f"{n}.dcm" for n in range(101)], 100)  # none is there: looking would fail
    assert item.name == "101 files"
    assert "more than the 100" in item.problem
    assert "READINGROOM_MAX_UPLOAD_FILES" in item.problem
