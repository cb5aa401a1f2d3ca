"""Write fer_prep/align/openface/probe_face.jpg: the face that OpenFace is tried on before it is trusted with a corpus.

It is cut out of scikit-image's `astronaut`, a photograph by NASA in the public domain.
"""

from pathlib import Path

import cv2
from skimage.data import astronaut

PLACE = Path(__file__).parents[1] / "fer_prep" / "align" / "openface" / "probe_face.jpg"


def main() -> None:
    face_HWC = astronaut()[0:240, 104:344, ::-1]
    cv2.imwrite(str(PLACE), face_HWC, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
