"""What people write who want clips by tonight: one loop, one file of float32 windows. For comparison with fer-prep.

    python benchmarks/lib/serial.py OUT.h5 VIDEO...

The same work with the same aligner and flow: OpenCV decodes, windows of 16 frames every 8, each gzipped as one chunk.
Like any such script, it has all of OpenCV's threads.
"""

import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from fer_prep.align.geometry import cut_out, similarity
from fer_prep.align.mesh import MeshFinder

SIZE, LENGTH, STRIDE = 112, 16, 8


def faces_of(video: Path, finder: MeshFinder) -> NDArray[np.float32]:
    """(T,H,W,5) float32: colours from 0 to 1, flow in pixels; a frame without a face is black."""
    finder.reset()
    capture = cv2.VideoCapture(str(video))
    frames = []
    before = None
    while True:
        there, bgr = capture.read()
        if not there:
            break
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        face = finder.find(rgb)
        aligned = np.zeros((SIZE, SIZE, 3), np.uint8)
        if face is not None:
            aligned = cut_out(rgb, similarity(face.points_68x2, SIZE), SIZE)
        grey = cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY)
        flow = np.zeros((SIZE, SIZE, 2), np.float32)
        if before is not None:
            flow[:] = cv2.calcOpticalFlowFarneback(before, grey, flow, 0.5, 3, 15, 3, 5, 1.2, 0)
        frames.append(np.concatenate([aligned.astype(np.float32) / 255, flow], axis=2))
        before = grey
    return np.stack(frames)


def main(out: str, *videos: str) -> None:
    finder = MeshFinder()
    with h5py.File(out, "w") as file:
        shape = (LENGTH, SIZE, SIZE, 5)
        data = file.create_dataset(
            "windows", (0, *shape), maxshape=(None, *shape), chunks=(1, *shape), dtype=np.float32,
            compression="gzip", compression_opts=4,
        )  # fmt: skip
        for video in videos:
            faces = faces_of(Path(video), finder)
            for start in range(0, len(faces) - LENGTH + 1, STRIDE):
                data.resize(len(data) + 1, axis=0)
                data[-1] = faces[start : start + LENGTH]


if __name__ == "__main__":
    main(*sys.argv[1:])
