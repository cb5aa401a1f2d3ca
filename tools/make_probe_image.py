"""Write fer_prep/align/openface/probe_face.jpg: the face that OpenFace is tried on before it is trusted with a corpus.

It is cut out of the photograph of the sample corpus, `astronaut`, by NASA, in the public domain.
"""

from pathlib import Path

import cv2

PACKAGE = Path(__file__).parents[1] / "fer_prep"
PHOTOGRAPH = PACKAGE / "corpora" / "astronaut.png"
PLACE = PACKAGE / "align" / "openface" / "probe_face.jpg"


def main() -> None:
    photo_HWC = cv2.imread(str(PHOTOGRAPH))
    assert photo_HWC is not None
    face_HWC = photo_HWC[0:240, 104:344]
    cv2.imwrite(str(PLACE), face_HWC, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
