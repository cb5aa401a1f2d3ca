"""The files that FeatureExtraction writes for one input: details, CSV, aligned images."""

import os
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import cv2
import numpy as np
import standin_texts as texts
from standin_inputs import Picture, Seen, Source
from standin_options import Options
from standin_play import Act
from standin_voice import abort, say, uncaught

SWITCHES = (
    ("Gaze", "-gaze"),
    ("AUs", "-aus"),
    ("Landmarks 2D", "-2Dfp"),
    ("Landmarks 3D", "-3Dfp"),
    ("Pose", "-pose"),
    ("Shape parameters", "-pdmparams"),
)


class Recorder:
    """Writes under out_dir; old files are overwritten, never removed.

    dialect 2.0: ", ", every CSV line reaches the file, images are .bmp.
    dialect 2.2: ",", the CSV is buffered (an abort loses its end), -format_aligned is obeyed.
    """

    def __init__(self, options: Options, dialect: str, path: str, own: str, given: str | None, source: Source) -> None:
        self._options, self._source, self._dialect = options, source, dialect
        self._comma = ", " if dialect == "2.0" else ","
        self._extension = options.values.get("-format_aligned", "bmp") if dialect == "2.2" else "bmp"
        name = own
        if given is not None:  # -of may hold a folder; its extension goes. Absolute: below out_dir in 2.0, as is in 2.2
            name = str(PurePosixPath(given).parent / PurePosixPath(given).stem)
            name = name.lstrip("/") if dialect == "2.0" else name
        self._base = Path(options.values.get("-out_dir", "processed")) / name
        self._csv: BinaryIO | None = None
        self._disk_full = self._no_writer = False
        self._begin(path)

    def _begin(self, path: str) -> None:
        stem, folder = self._base.name, self._base.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            pass  # out_dir is a file: noticed when the details cannot be opened
        except OSError as error:
            what = f'boost::filesystem::create_directory: {error.strerror}: "{folder}"'
            uncaught("boost::filesystem::filesystem_error", what)
        details = folder / f"{stem}_of_details.txt"
        fx = (500 * self._source.width / 640 + 500 * self._source.height / 480) / 2
        camera = ",".join(f"{number:g}" for number in (fx, fx, self._source.width / 2, self._source.height / 2))
        lines = [f"Input:{path}"]
        try:
            details.write_text(f"Input:{path}\n")
        except OSError:
            reason = (
                "either the path of the output directory is wrong or you do not have the permissions to write to it"
            )
            say(f'ERROR: could not open the output file:"{details}", {reason}')
            abort("pure virtual method called")  # exit(1) races with a thread in OpenFace: rc 1 is possible too
        if "://" in path:
            uncaught("boost::filesystem::filesystem_error", "boost::filesystem::canonical: No such file or directory")
        lines += [f"Input full path:{Path(path).resolve()}", f"Camera parameters:{camera}"]
        for flag, line in (
            ("-hogalign", f"Output HOG:{stem}.hog"),
            ("-tracked", f"Output video:{stem}.avi"),
            ("-simalign", f"Output aligned directory:{stem}_aligned"),
        ):
            lines += [line] if self._options.asked(flag) else []
        lines.append(f"Output csv:{stem}.csv")
        lines += [f"{name}: {int(self._options.asked(flag))}" for name, flag in SWITCHES]
        details.write_text("\n".join(lines) + "\n")
        if self._options.asked("-simalign"):
            try:
                self._aligned.mkdir(exist_ok=True)
            except OSError as error:
                what = f'boost::filesystem::create_directory: {error.strerror}: "{self._aligned}"'
                uncaught("boost::filesystem::filesystem_error", what)

    @property
    def _aligned(self) -> Path:
        return self._base.with_name(f"{self._base.name}_aligned")

    def write(self, seen: Seen, act: Act) -> None:
        """One frame: a row, and an image where one is wanted."""
        if self._no_writer:
            self._no_image_writer()
        if seen.frame not in act.get("drop_rows", []):
            self._write_row(seen, cut=seen.frame == act.get("zero_byte_images_from"))
        if self._options.asked("-simalign"):
            self._write_image(seen, act)

    def _write_row(self, seen: Seen, cut: bool) -> None:
        groups = [group for group in texts.GROUPS if self._options.asked(group)]
        if self._csv is None:
            try:
                path = self._base.with_name(f"{self._base.name}.csv")
                self._csv = path.open("wb", buffering=0 if self._dialect == "2.0" else 8192)
            except OSError:
                say("The output CSV file is not open, exiting")
                raise SystemExit(1) from None
            names = [*texts.ALWAYS, *[column for group in groups for column, _ in texts.columns(group)]]
            self._csv.write((self._comma.join(names) + "\n").encode())
        cells = [str(seen.frame), "0", seen.timestamp, seen.confidence, seen.success]
        for group in groups:  # nothing but the 2-D points is recorded or made up: the other groups are zeros
            zeros = [f"{0:.{decimals}f}" for _, decimals in texts.columns(group)]
            cells += seen.points if group == "-2Dfp" else zeros
        line = (self._comma.join(cells) + "\n").encode()
        if not self._disk_full:
            self._csv.write(line[: len(line) // 2] if cut else line)
        self._disk_full |= cut

    def _write_image(self, seen: Seen, act: Act) -> None:
        if (seen.success == "0" and "-nobadaligned" in self._options.flags) or seen.frame in act.get("drop_images", []):
            return
        path = self._aligned / f"frame_det_00_{seen.frame:06d}.{self._extension}"
        image = self._sized(seen.image, larger=7 if seen.frame in act.get("wrong_size_images", []) else 0)
        if not cv2.haveImageWriter(path.name):
            self._no_writer = True
            return
        content = cv2.imencode(path.suffix, image)[1].tobytes()
        try:
            if act.get("no_images"):
                raise PermissionError
            path.write_bytes(b"" if self._disk_full else content)
        except OSError:
            say(texts.NO_IMAGE)

    def _sized(self, image: Picture | None, larger: int) -> Picture:
        """At the size asked for. Other sizes than 112 are resized, not aligned again; -simscale is not imitated."""
        size = int(self._options.values.get("-simsize", "112"))
        shape = (size + larger, size + larger) if size > 0 else (self._source.width, self._source.height)
        if image is None:
            image = np.zeros((shape[1], shape[0], 3), np.uint8)
        elif image.shape[1::-1] != shape:
            image = cv2.resize(image, shape, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
        if "-g" in self._options.flags:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
        return image

    def _no_image_writer(self) -> None:
        where = "OpenCV(4.6.0) ./modules/imgcodecs/src/loadsave.cpp:730: error: (-2:Unspecified error)"
        what = "could not find a writer for the specified extension in function 'imwrite_'"
        uncaught("cv::Exception", f"{where} {what}\n")

    def close(self, act: Act) -> None:
        if self._no_writer:
            self._no_image_writer()
        path = self._base.with_name(f"{self._base.name}.csv")
        if self._csv is not None:
            self._csv.close()
            if "truncate_csv_bytes" in act:
                n = act["truncate_csv_bytes"]
                os.truncate(path, n if n >= 0 else max(0, path.stat().st_size + n))
            if act.get("garbage_csv"):
                path.write_bytes(b"\x00\xff\xfe,garbage;\x80\n" * 20)
        # without output flags these two appear as well, over an input of the same name: contract, fact 5
        for flag, suffix in (("-hogalign", ".hog"), ("-tracked", ".avi")):
            if self._options.asked(flag):
                self._base.with_name(f"{self._base.name}{suffix}").write_bytes(b"STAND-IN, no content\n")
