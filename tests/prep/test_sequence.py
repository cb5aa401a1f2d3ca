"""Reading directories of numbered images, real and broken ones."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
from cv2.typing import MatLike
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fer_prep.errors import RecordingError
from fer_prep.files import is_pointer
from fer_prep.sequence import list_images, open_sequence, sequence_sha256
from fer_prep.video import open_video

Picture = NDArray[np.uint8]
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0a' * 32}\nsize 12345\n"


def read(directory: Path, start_frame: int = 0, end_frame: int | None = None) -> list[Picture]:
    with open_sequence(directory) as video:
        return list(video.frames(start_frame, end_frame))


def touch(directory: Path, *names: str) -> Path:
    """Files whose names are all that counts."""
    for name in names:
        (directory / name).write_bytes(b"x")
    return directory


def write(directory: Path, pictures: Iterable[MatLike], suffix: str = ".png") -> list[Path]:
    """Images named as CK+ names them, from number 1 on; pictures are (H,W,3) BGR or (H,W) grey."""
    directory.mkdir(exist_ok=True)
    files = []
    for number, picture in enumerate(pictures, start=1):
        files.append(directory / f"S005_001_{number:08}{suffix}")
        assert cv2.imwrite(str(files[-1]), picture)
    return files


def as_opencv_sees(file: Path) -> Picture:
    bgr_HWC = cv2.imread(str(file), cv2.IMREAD_COLOR)
    assert bgr_HWC is not None
    return np.asarray(bgr_HWC[..., ::-1], dtype=np.uint8)


def synthetic(n: int = 3, height: int = 48, width: int = 64) -> list[Picture]:
    """Smooth BGR pictures, each different from the others and from its own mirror image."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 100 * np.sin((x * (c + 1) + 3 * y + 40 * x * y / width) / 30 + c) for c in range(3)]
    return [(np.stack(planes, axis=-1) - 5 * k).astype(np.uint8) for k in range(n)]


@pytest.fixture(scope="session")
def face_frames(shared_data: Path) -> list[Picture]:
    """Four frames of a real face video as (490,640,3) BGR, the size of most CK+ images."""
    path = next((shared_data / "london" / "expr6").rglob("*.mp4"))
    with open_video(path) as video:
        return [np.asarray(cv2.resize(rgb, (640, 490))[..., ::-1]) for rgb in islice(video.frames(), 4)]


# ---------------------------------------------------------------------------------------------------------------- names


@given(numbers=st.lists(st.integers(0, 10**12), min_size=1, max_size=30, unique=True), data=st.data())
def test_images_come_in_the_order_of_their_numbers_however_they_are_written(
    numbers: list[int], data: st.DataObject
) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        for number in numbers:
            width = data.draw(st.integers(0, 14))
            prefix = data.draw(st.sampled_from(["", "S005_001_", "z-", "9_", "ü "]))
            touch(directory, f"{prefix}{number:0{width}}{data.draw(st.sampled_from(['.png', '.JPG', '.bmp']))}")
        images = list_images(directory)
    assert [int(file.stem.split("_")[-1].split("-")[-1].split(" ")[-1]) for file in images.files] == sorted(numbers)
    assert images.n_missing == max(numbers) - min(numbers) + 1 - len(numbers)


@given(numbers=st.sets(st.integers(0, 60), min_size=1))
def test_missing_numbers_are_those_between_the_first_and_the_last_image(numbers: set[int]) -> None:
    with TemporaryDirectory() as name:
        images = list_images(touch(Path(name), *(f"{number}.png" for number in numbers)))
    assert images.missing == tuple(sorted(set(range(min(numbers), max(numbers))) - numbers))


def test_time_stamps_as_numbers_do_not_fill_the_memory(tmp_path: Path) -> None:
    images = list_images(touch(tmp_path, "1403636579763555584.png", "1403636579813555456.png"))
    assert images.n_missing == 49_999_871
    assert len(images.missing) == 1000


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".bmp", ".PNG", ".Jpg"])
def test_images_are_known_by_their_suffix_in_any_case(tmp_path: Path, suffix: str) -> None:
    assert list_images(touch(tmp_path, f"a_7{suffix}")).files == (tmp_path / f"a_7{suffix}",)


def test_what_is_no_numbered_image_is_a_stray_and_what_systems_leave_behind_is_not(tmp_path: Path) -> None:
    touch(tmp_path, "x_00000010.png", "x_00000011.png", "x_00000011 copy.png", "notes.txt", "x_12.png.txt", "x_13")
    touch(tmp_path, ".DS_Store", "._x_00000012.png", "Thumbs.db")
    (tmp_path / "x_00000012.png").mkdir()
    images = list_images(tmp_path)
    assert [file.name for file in images.files] == ["x_00000010.png", "x_00000011.png"]
    assert images.strays == ("notes.txt", "x_00000011 copy.png", "x_00000012.png", "x_12.png.txt", "x_13")
    assert images.missing == ()


@pytest.mark.parametrize("names", [("a_1.png", "b_1.png"), ("a_1.png", "a_1.jpg"), ("a_1.png", "a_001.png")])
def test_two_images_of_one_number_are_ambiguous_and_both_are_named(tmp_path: Path, names: tuple[str, str]) -> None:
    touch(tmp_path, *names, "a_2.png")
    with pytest.raises(RecordingError, match=r"ambiguous frames: .* of number 1") as caught:
        list_images(tmp_path)
    assert all(repr(name) in str(caught.value) for name in names)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((), "no frames: .* holds no image; .* such as"),
        ((".DS_Store",), "no frames: .* holds no image; .* such as"),
        (("S005_001_landmarks.txt",), "no frames: .* holds no image, only 'S005_001_landmarks.txt'; .* such as"),
        (
            ("a.png", "b.jpg", "c.txt"),
            "no frames: .* holds 2 images, but none whose name ends with a number, only 'a.p",
        ),
    ],
)
def test_a_directory_without_numbered_images_is_one_sentence(
    tmp_path: Path, names: tuple[str, ...], sentence: str
) -> None:
    touch(tmp_path, *names)
    with pytest.raises(RecordingError, match=sentence) as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_that_is_not_there_or_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"no such directory: .*/001 does not exist; a directory of PNG"):
        read(tmp_path / "001")
    (tmp_path / "002").symlink_to(tmp_path / "gone")
    with pytest.raises(RecordingError, match=r"no such directory: .*/002 is a link that leads nowhere; a directory"):
        read(tmp_path / "002")
    touch(tmp_path, "1.png")
    with pytest.raises(RecordingError, match=r"not a directory: .* is a file; a directory of PNG"):
        read(tmp_path / "1.png")


def test_a_directory_is_listed_without_loading_a_decoder() -> None:
    code = "import sys, fer_prep.sequence; print([name for name in ('av', 'numpy', 'cv2') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# -------------------------------------------------------------------------------------------------------------- remarks


def remark(directory: Path) -> str:
    with open_sequence(directory) as video:
        return video.remark


def test_a_sequence_without_gaps_has_no_remark(tmp_path: Path) -> None:
    assert remark(touch(tmp_path, "x_8.png", "x_9.png", "x_10.png", "notes.txt")) == ""


def test_missing_numbers_and_images_without_number_are_remarked(tmp_path: Path) -> None:
    touch(tmp_path, "x_4.png", "x_7.png", "x_7 copy.png")
    assert remark(tmp_path) == (
        "frame numbers missing in between: 5, 6; 1 image without a number ignored: 'x_7 copy.png'"
    )


def test_of_many_missing_numbers_the_first_few_are_named(tmp_path: Path) -> None:
    assert remark(touch(tmp_path, "1.png", "18.png")) == "frame numbers missing in between: 2, 3, 4, 5 … and 12 more"


# --------------------------------------------------------------------------------------------------------------- pixels


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
@pytest.mark.parametrize("size", [(640, 490), (640, 480)])
@pytest.mark.parametrize("grey", [False, True])
def test_real_faces_stored_without_loss_come_back_exactly(
    face_frames: list[Picture], tmp_path: Path, suffix: str, size: tuple[int, int], grey: bool
) -> None:
    pictures = [cv2.resize(frame, size) for frame in face_frames]
    write(tmp_path, [cv2.cvtColor(p, cv2.COLOR_BGR2GRAY) for p in pictures] if grey else pictures, suffix)
    frames = read(tmp_path)
    assert len(frames) == len(pictures)
    for frame, bgr in zip(frames, pictures, strict=True):
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        expected = cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2RGB) if grey else bgr[..., ::-1]
        np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize("grey", [False, True])
def test_jpeg_colours_are_those_that_opencv_sees(face_frames: list[Picture], tmp_path: Path, grey: bool) -> None:
    pictures = [cv2.cvtColor(p, cv2.COLOR_BGR2GRAY) for p in face_frames] if grey else face_frames
    files = write(tmp_path, pictures, ".jpg")
    for frame, file in zip(read(tmp_path), files, strict=True):
        difference = frame.astype(int) - as_opencv_sees(file)
        # a limited range taken for a full one is off by 8 on average, swapped colours by more
        assert np.abs(difference).mean() < 1
        assert np.abs(difference.mean(axis=(0, 1))).max() < 0.5


def test_stills_of_the_london_set_are_decoded_as_opencv_does(shared_data: Path, tmp_path: Path) -> None:
    stills = sorted((shared_data / "london" / "stills").rglob("*.jpg"))[:12]
    assert stills
    for number, still in enumerate(stills):
        (tmp_path / f"{number}.jpg").symlink_to(still)
    for frame, still in zip(read(tmp_path), stills, strict=True):
        assert np.abs(frame.astype(int) - as_opencv_sees(still)).mean() < 1


@pytest.mark.parametrize("suffix", [".png"])
@pytest.mark.parametrize("grey", [False, True])
def test_sixteen_bits_become_the_upper_eight(tmp_path: Path, suffix: str, grey: bool) -> None:
    upper = synthetic(1)[0][..., 0] if grey else synthetic(1)[0]
    write(tmp_path, [upper.astype(np.uint16) * 256 + 77], suffix)
    (frame,) = read(tmp_path)
    assert np.abs(frame.astype(int) - (upper[..., None] if grey else upper[..., ::-1])).max() <= 1


def test_transparency_is_left_out(tmp_path: Path) -> None:
    bgr = synthetic(1)[0]
    write(tmp_path, [np.dstack([bgr, np.full(bgr.shape[:2], 50, np.uint8)])])
    np.testing.assert_array_equal(read(tmp_path)[0], bgr[..., ::-1])


def test_grey_and_colour_may_be_mixed(tmp_path: Path) -> None:
    bgr = synthetic(1)[0]
    write(tmp_path, [bgr, cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), bgr])
    frames = read(tmp_path)
    np.testing.assert_array_equal(frames[0], frames[2])
    assert np.ptp(frames[1], axis=-1).max() == 0
    assert np.ptp(frames[0], axis=-1).max() > 0


def test_a_picture_does_not_depend_on_the_one_before_it(tmp_path: Path) -> None:
    pictures = synthetic(4)
    write(tmp_path, pictures)
    for frame, bgr in zip(read(tmp_path), pictures, strict=True):
        np.testing.assert_array_equal(frame, bgr[..., ::-1])


@pytest.mark.parametrize(("orientation", "quarter_turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_jpeg_is_turned_as_its_exif_says(tmp_path: Path, orientation: int, quarter_turns: int) -> None:
    (file,) = write(tmp_path, synthetic(1), ".jpg")
    stored = read(tmp_path)[0]
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + bytes(4)
    exif = b"Exif\0\0" + tiff
    content = file.read_bytes()
    file.write_bytes(content[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + content[2:])
    (frame,) = read(tmp_path)
    np.testing.assert_array_equal(frame, np.rot90(stored, quarter_turns))
    assert frame.shape == as_opencv_sees(file).shape


def test_a_picture_is_what_it_holds_and_not_what_its_suffix_says(tmp_path: Path) -> None:
    (file,) = write(tmp_path, synthetic(1), ".png")
    file.rename(file.with_suffix(".jpg"))
    np.testing.assert_array_equal(read(tmp_path)[0], synthetic(1)[0][..., ::-1])


# ---------------------------------------------------------------------------------------------------------------- parts


def test_a_part_of_a_sequence_is_its_frames_and_nothing_else(tmp_path: Path) -> None:
    pictures = synthetic(6)
    files = write(tmp_path, pictures)
    files[0].write_bytes(b"not asked for")
    part = read(tmp_path, start_frame=2, end_frame=4)
    assert len(part) == 2
    for frame, bgr in zip(part, pictures[2:4], strict=True):
        np.testing.assert_array_equal(frame, bgr[..., ::-1])


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (0, 4, "too short: .* has 3 frames, but frames up to 4 were asked for; correct end_frame in the manifest"),
        (3, None, "too short: .* has 3 frames, but frames from 3 on were asked for; correct start_frame in the"),
    ],
)
def test_a_part_that_the_sequence_does_not_have_is_said(
    tmp_path: Path, start: int, end: int | None, sentence: str
) -> None:
    write(tmp_path, synthetic(3))
    with pytest.raises(RecordingError, match=sentence):
        read(tmp_path, start, end)


def test_a_sequence_says_its_rate_and_counts_while_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, synthetic(3))
    with open_sequence(tmp_path) as video:
        assert (video.n_declared, video.n_read) == (3, 0)
        next(video.frames())
        assert video.n_read == 1


# --------------------------------------------------------------------------------------------------------------- damage


def failure(directory: Path, capfd: pytest.CaptureFixture[str]) -> RecordingError:
    with pytest.raises(RecordingError) as caught:
        read(directory)
    assert "\n" not in str(caught.value)
    # a decoder's own complaints would tear the progress display
    assert capfd.readouterr() == ("", "")
    return caught.value


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_cut_picture_is_damaged_and_never_half_a_picture(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, share: float
) -> None:
    file = write(tmp_path, synthetic(3, 480, 640), suffix)[1]
    os.truncate(file, int(file.stat().st_size * share))
    error = failure(tmp_path, capfd)
    assert error.kind == "damaged"
    assert str(file) in error.sentence
    assert error.n_frames == 1


@pytest.mark.parametrize(("suffix", "n_bytes"), [(".png", 12), (".jpg", 2), (".jpg", 1)])
def test_a_picture_without_its_last_bytes_is_damaged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, n_bytes: int
) -> None:
    file = write(tmp_path, synthetic(2), suffix)[1]
    os.truncate(file, file.stat().st_size - n_bytes)
    assert "its end is missing" in failure(tmp_path, capfd).sentence


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_hole_in_a_picture_is_damage(
    face_frames: list[Picture], tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    file = write(tmp_path, face_frames, suffix)[2]
    content = bytearray(file.read_bytes())
    half = len(content) // 2
    content[half : half + 2000] = bytes(2000)
    file.write_bytes(content)
    error = failure(tmp_path, capfd)
    assert (error.kind, error.n_frames) == ("damaged", 2)
    assert str(file) in error.sentence


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(where=29 / 852, bit=0)  # in the checksum of a header that is right
def test_one_wrong_bit_anywhere_in_a_png_is_damage(where: float, bit: int) -> None:
    with TemporaryDirectory() as name:
        (file,) = write(Path(name), [np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)])
        content = bytearray(file.read_bytes())
        content[int(where * len(content))] ^= 1 << bit
        file.write_bytes(content)
        with pytest.raises(RecordingError, match="damaged: "):
            read(Path(name))


def test_an_empty_image_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, synthetic(2))[1].write_bytes(b"")
    assert str(failure(tmp_path, capfd)).startswith(f"empty file: {tmp_path}/S005_001_00000002.png has 0 bytes")


def test_a_text_that_is_called_png_is_no_picture(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "1.png").write_text("<html>404</html>")
    assert "it is no PNG, JPEG or BMP" in failure(tmp_path, capfd).sentence


def test_an_image_that_is_a_link_to_nothing_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "1.png").symlink_to(tmp_path / ".git/annex/objects/gone")
    assert "1.png is a link that leads nowhere" in failure(tmp_path, capfd).sentence


def test_a_large_file_pointer_is_not_a_picture_and_says_what_to_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, synthetic(2))[1].write_text(POINTER)
    error = failure(tmp_path, capfd)
    assert (error.kind, error.n_frames) == ("large-file pointer", 1)
    assert f"(a text of {len(POINTER)} bytes)" in error.sentence
    assert "not the picture; run `git lfs pull`" in error.sentence


def test_only_a_short_text_of_git_lfs_is_a_pointer(tmp_path: Path) -> None:
    file = tmp_path / "1.png"
    for content, expected in [(POINTER, True), (POINTER[1:], False), ("", False), (POINTER + " " * 1000, False)]:
        file.write_text(content)
        assert is_pointer(file) is expected


def test_a_change_of_size_is_said_with_both_sizes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, [*synthetic(2, 48, 64), *synthetic(1, 50, 64)])
    error = failure(tmp_path, capfd)
    assert (error.kind, error.n_frames) == ("mixed sizes", 2)
    assert "S005_001_00000003.png is 64×50, but the images before it are 64×48" in error.sentence


# ----------------------------------------------------------------------------------------------------------------- hash


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_the_hash_of_a_sequence_is_what_a_shell_says(tmp_path: Path) -> None:
    write(tmp_path, synthetic(11))
    (tmp_path / "notes.txt").write_text("not part of it")
    shell = subprocess.run("sha256sum *.png | sha256sum", shell=True, cwd=tmp_path, capture_output=True, check=True)
    assert sequence_sha256(tmp_path) == shell.stdout.decode().split()[0]


def test_the_hash_follows_content_names_and_frame_order_but_not_the_place(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for directory in (first, second):
        directory.mkdir()
        (directory / "x_10.png").write_bytes(b"ten")
        (directory / "x_9.png").write_bytes(b"nine")
    lines = [f"{hashlib.sha256(text).hexdigest()}  x_{n}.png\n" for n, text in ((9, b"nine"), (10, b"ten"))]
    assert sequence_sha256(first) == sequence_sha256(second) == hashlib.sha256("".join(lines).encode()).hexdigest()
    (second / "x_9.png").rename(second / "x_8.png")
    assert sequence_sha256(first) != sequence_sha256(second)


def test_the_hash_of_an_image_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "1.png").symlink_to(tmp_path / "gone")
    with pytest.raises(RecordingError, match=r"no such file: .*1\.png is a link that leads nowhere"):
        sequence_sha256(tmp_path)
