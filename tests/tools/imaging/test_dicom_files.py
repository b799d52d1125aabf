"""Real DICOM files that pydicom and pydicom-data carry: every compression, and what is no image."""

from functools import cache
from pathlib import Path

import data_store
import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.uid import JPEGExtended12Bit

from tests.phantoms import base_dataset, save, set_pixels
from tools.errors import BadInputError, NotFoundError, SeriesChoiceError, ToolError, UnavailableError, UnsupportedError
from tools.imaging import decode
from tools.imaging.read import describe_geometry, list_series, read_image

PYDICOM = Path(pydicom.data.__file__).parent / "test_files"
DATA_STORE = Path(next(iter(data_store.__path__))) / "data"
ALL_FILES = sorted(path for folder in (PYDICOM, DATA_STORE) for path in folder.glob("*.*") if path.is_file())

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")


@cache
def real(name: str):
    return read_image(real_path(name))


def real_path(name: str) -> Path:
    return DATA_STORE / name if (DATA_STORE / name).exists() else PYDICOM / name


@pytest.mark.parametrize(
    ("compressed", "plain"),
    [
        ("RG1_J2KR.dcm", "RG1_UNCR.dcm"),
        ("RG1_J2KI.dcm", "RG1_UNCI.dcm"),
        ("RG3_J2KR.dcm", "RG3_UNCR.dcm"),
        ("RG3_J2KI.dcm", "RG3_UNCI.dcm"),
        ("MR2_J2KR.dcm", "MR2_UNCR.dcm"),
        ("MR2_J2KI.dcm", "MR2_UNCI.dcm"),
        ("US1_J2KR.dcm", "US1_UNCR.dcm"),
        ("US1_J2KI.dcm", "US1_UNCI.dcm"),
        ("693_J2KR.dcm", "693_UNCR.dcm"),
        ("693_J2KI.dcm", "693_UNCI.dcm"),
        ("JPEG2000.dcm", "JPEG2000_UNC.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_implicit.dcm", "MR_small.dcm"),
        ("MR_small_padded.dcm", "MR_small.dcm"),
        ("SC_rgb_rle.dcm", "SC_rgb.dcm"),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb.dcm"),
        ("SC_rgb_gdcm_KY.dcm", "SC_rgb.dcm"),
        ("SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_dcmtk_ebcr_dcmd.dcm"),
        ("SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_dcmtk_ebcynp_dcmd.dcm"),
        ("SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_dcmtk_ebcys4_dcmd.dcm"),
        ("SC_ybr_full_422_uncompressed.dcm", "SC_ybr_full_uncompressed.dcm"),
        ("OBXXXX1A_rle.dcm", "OBXXXX1A.dcm"),
        ("OBXXXX1A_expb.dcm", "OBXXXX1A.dcm"),
        ("gdcm-US-ALOKA-16_big.dcm", "gdcm-US-ALOKA-16.dcm"),
        ("color-pl.dcm", "color-px.dcm"),
    ],
)
def test_a_compressed_file_holds_the_voxels_of_its_plain_version(compressed, plain):
    np.testing.assert_array_equal(real(compressed).array, real(plain).array)
    assert real(plain).array.std() > 0
    assert real(compressed).units == real(plain).units
    np.testing.assert_allclose(real(compressed).affine_ras, real(plain).affine_ras)


def test_jpeg_colour_is_rgb():
    lossy, plain = real("SC_rgb_jpeg_dcmtk.dcm").array.astype(int), real("SC_rgb.dcm").array.astype(int)
    assert np.abs(lossy - plain).max() <= 6


def test_yellow_blue_red_is_turned_into_rgb():
    """The test picture starts with a red stripe; read as YBR it would be olive."""
    red = real("SC_ybr_full_uncompressed.dcm").array[50, 5, 0]
    assert red.tolist() == [254, 0, 0]


def test_the_chest_radiograph_is_inverted_and_has_no_millimetres():
    volume = real("RG1_UNCR.dcm")
    stored = pydicom.dcmread(real_path("RG1_UNCR.dcm")).pixel_array
    np.testing.assert_array_equal(volume.array[:, :, 0].T, 32767 - stored)
    assert (volume.modality, volume.body_part, volume.spacing_source) == ("CR", "CHEST", None)
    assert volume.array.dtype == np.uint16
    with pytest.raises(UnsupportedError, match=r"no physical spacing"):
        _ = volume.spacing_mm


def test_a_ct_slice_lands_where_its_header_says():
    volume, header = real("CT_small.dcm"), pydicom.dcmread(real_path("CT_small.dcm"))
    np.testing.assert_array_equal(volume.array[:, :, 0].T, header.pixel_array.astype(int) - 1024)
    row, column = 5, 9
    cosines = np.array(header.ImageOrientationPatient, float)
    lps = (
        np.array(header.ImagePositionPatient, float)
        + cosines[:3] * float(header.PixelSpacing[1]) * column
        + cosines[3:] * float(header.PixelSpacing[0]) * row
    )
    np.testing.assert_allclose((volume.affine_ras @ [column, row, 0, 1])[:3], lps * [-1, -1, 1])
    assert (volume.units, volume.dims, volume.spacing_source) == ("HU", 2, "PixelSpacing")


def test_a_modality_lut_is_applied():
    header = pydicom.dcmread(real_path("mlut_18.dcm"))
    lut = header.ModalityLUTSequence[0]
    first, data = int(lut.LUTDescriptor[1]), np.array(lut.LUTData)
    value = int(header.pixel_array[200, 100])
    expected = data[np.clip(value - first, 0, len(data) - 1)]
    assert real("mlut_18.dcm").array[100, 200, 0] == expected


def test_colour_maps_that_say_they_are_no_hounsfield_have_no_unit():
    volume = real("eCT_Supplemental.dcm")
    assert (volume.dims, volume.units, volume.header["RescaleType"]) == (3, "", "US")
    assert describe_geometry(volume)["spacing_mm"] == [0.388672, 0.388672, 10.0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("liver.dcm", "is DICOM but a segmentation"),
        ("test-SR.dcm", "a structured report"),
        ("rtstruct.dcm", "radiotherapy contours"),
        ("rtplan.dcm", "a radiotherapy plan"),
        ("rtdose.dcm", "a radiotherapy dose"),
        ("waveform_ecg.dcm", "an electrocardiogram"),
        ("UN_sequence.dcm", "is DICOM but CT Image Storage without pixels, not an image"),
        ("color3d_jpeg_baseline.dcm", "120 frames without a place in space"),
        ("emri_small.dcm", "10 frames without a place"),
        ("SC_rgb_16bit.dcm", "colour of type 'RGB' uint16"),
    ],
)
def test_what_is_no_readable_image_says_what_it_is(name, message):
    with pytest.raises(UnsupportedError, match=message):
        read_image(real_path(name))


def test_a_truncated_file_is_refused():
    with pytest.raises(BadInputError, match=r"damaged or cut short"):
        read_image(real_path("MR_truncated.dcm"))


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_twelve_bit_jpeg_says_what_to_install(name):
    from pydicom.pixels.decoders.base import get_decoder

    if "pylibjpeg" in get_decoder(JPEGExtended12Bit).available_plugins:
        pytest.skip("pylibjpeg-libjpeg is installed here")
    with pytest.raises(UnavailableError, match=r"pip install pylibjpeg"):
        read_image(real_path(name))


def refusal_or_voxels(path: Path) -> str | np.ndarray:
    try:
        return read_image(path).array
    except ToolError as error:
        return str(error)


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: path.name)
def test_every_file_is_read_or_refused_in_one_line(path):
    result = refusal_or_voxels(path)
    if isinstance(result, str):
        assert "\n" not in result
        assert path.name in result
        assert len(result) < 400
    else:
        assert result.size > 1


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_jp2klossless.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "JPEG-LL.dcm",
    ],
)
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.7, 0.9, 0.95, 0.97, 0.99])
def test_a_file_cut_anywhere_never_gives_other_voxels(tmp_path, name, share):
    content = real_path(name).read_bytes()
    path = tmp_path / "cut.dcm"
    path.write_bytes(content[: int(len(content) * share)])
    result = refusal_or_voxels(path)
    if isinstance(result, str):
        assert "\n" not in result
        assert "'cut.dcm'" in result
    else:
        assert share > 0.95  # only the padding behind the pixels is gone
        np.testing.assert_array_equal(result, real(name).array)


def test_a_folder_of_many_studies_lists_its_series():
    folder = PYDICOM / "dicomdirtests"
    with pytest.raises(SeriesChoiceError) as question:
        read_image(folder)
    choices = question.value.choices
    assert len(choices) == 13
    assert any(line.endswith("CT 5 images 'SmartScore - Gated 0.5 sec'") for line in choices)
    cardiac = next(info for info in list_series(folder) if info.images == 5)
    volume = read_image(folder, series=str(cardiac.number))
    assert volume.shape == (16, 16, 5)
    assert volume.spacing_mm[2] == pytest.approx(2.5)
    bottom = min(
        (pydicom.dcmread(path) for path in (folder / "98892001" / "CT5N").iterdir()),
        key=lambda header: header.ImagePositionPatient[2],
    )
    assert volume.affine_ras[2, 3] == pytest.approx(-1.2375)
    np.testing.assert_array_equal(
        volume.array[:, :, 0].T, bottom.pixel_array.astype(int) + int(bottom.RescaleIntercept)
    )


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("77654033/CT2", "missing slices: about 161 where steps are 1.25 mm"),
        ("98892003/MR700", "mixes 7 values of ImageOrientationPatient"),
    ],
)
def test_real_incomplete_series_are_refused(folder, message):
    with pytest.raises(UnsupportedError, match=message):
        read_image(PYDICOM / "dicomdirtests" / folder)


def test_dicomdir_points_to_its_folder():
    with pytest.raises(UnsupportedError, match=r"attach its folder instead"):
        read_image(PYDICOM / "dicomdirtests" / "DICOMDIR")


def test_a_file_without_the_dicm_mark_is_still_dicom(tmp_path):
    dataset = base_dataset("DX")
    set_pixels(dataset, np.arange(12, dtype=np.uint16).reshape(3, 4))
    bare = save(dataset, tmp_path / "whole.dcm").read_bytes()[132:]
    (tmp_path / "bare").write_bytes(bare)
    np.testing.assert_array_equal(read_image(tmp_path / "bare").array, read_image(tmp_path / "whole.dcm").array)


def test_a_palette_of_eight_bit_entries_declared_as_sixteen_is_not_black(tmp_path):
    dataset = base_dataset("US")
    set_pixels(dataset, np.array([[0, 1], [2, 3]], np.uint8), bits_stored=8, photometric="PALETTE COLOR")
    for colour, entries in (("Red", [0, 10, 20, 200]), ("Green", [0, 11, 21, 201]), ("Blue", [0, 12, 22, 202])):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [4, 0, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", np.array(entries, "<u2").tobytes())
    read = read_image(save(dataset, tmp_path / "palette.dcm"))
    assert read.array[1, 1, 0].tolist() == [200, 201, 202]
    assert read.array[1, 0, 0].tolist() == [10, 11, 12]


def test_an_empty_folder_and_a_folder_of_other_things(tmp_path):
    with pytest.raises(NotFoundError, match=r"holds no files"):
        read_image(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(NotFoundError, match=r"1 files, none of them DICOM"):
        read_image(tmp_path)
    (tmp_path / "image.dcm").write_text("hello")
    with pytest.raises(BadInputError, match=r"named .dcm but is not DICOM"):
        read_image(tmp_path)


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_gdcm.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_a_decoder_that_crashes_ends_neither_us_nor_the_reading(tmp_path, monkeypatch, name):
    """gdcm aborts on some damaged streams; here the process it runs in is made to die as it would."""
    monkeypatch.setattr(decode, "_START", "import os; os.abort()")
    with pytest.raises(BadInputError, match=r"the decoder crashed on them"):
        read_image(real_path(name))
    monkeypatch.setattr(decode, "_START", "import sys; sys.exit(3)")
    with pytest.raises(RuntimeError, match=r"exit code 3"):
        read_image(real_path(name))


@pytest.mark.parametrize("seed", [25, 34, 92])
def test_what_gdcm_crashes_on_is_refused(tmp_path, seed):
    """Random bytes in the head of a JPEG lossless stream; with these seeds gdcm 3.2.6 aborts its process."""
    damaged = bytearray(real_path("SC_rgb_jpeg_gdcm.dcm").read_bytes())
    start = damaged.find(b"\xff\xd8\xff")
    rng = np.random.default_rng(seed)
    for at in rng.integers(start + 2, start + 200, 4):
        damaged[at] = rng.integers(0, 256)
    (tmp_path / "x.dcm").write_bytes(damaged)
    assert "'x.dcm': the pixel data are damaged" in str(refusal_or_voxels(tmp_path / "x.dcm"))
