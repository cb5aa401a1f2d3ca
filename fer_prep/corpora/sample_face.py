"""A photograph becomes filmed people: ten are made of one portrait, and each goes from neutral to six emotions.

Everything a viewer sees is a warped and recoloured photograph (`astronaut`, by NASA, public domain): for trying the
tools, not for measuring how well expressions are recognised.
Legend: H W pixels, M points, N frames, L levels of strength, K colour channels; digits are sizes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from fer_prep.corpora.sample_warp import (
    CHIN,
    FRAME_HW,
    LOWER_INNER_LIP,
    MAP_STEP,
    PORTRAIT_HW,
    SIDES,
    UPPER_INNER_LIP,
    Floats,
    Image,
    Portrait,
    Shift,
    displacement_map,
    expression_shift,
    neutral_shift,
    portrait,
    smoothstep,
)

N_LEVELS = 9  # warps drawn between neutral and apex; frames between two of them are interpolated

BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))
EYES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176,
    149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
INNER_MOUTH = (78, *UPPER_INNER_LIP, 308, *LOWER_INNER_LIP[::-1])


@dataclass(frozen=True)
class Shape:
    """How a person's face differs from the photographed one, in head units or as a share; 0 is no difference."""

    face_width: float = 0.0
    jaw_width: float = 0.0
    chin_length: float = 0.0
    eye_distance: float = 0.0
    eye_size: float = 0.0
    nose_length: float = 0.0
    nose_width: float = 0.0
    mouth_width: float = 0.0
    lip_fullness: float = 0.0
    brow_height: float = 0.0
    hair_volume: float = 0.0


@dataclass(frozen=True)
class Colours:
    """How a person and the room are coloured; (lightness factor, a*, b*) are applied in CIE Lab, a* and b* added."""

    skin: tuple[float, float, float] = (1.0, 0.0, 0.0)
    hair: tuple[float, float, float] = (1.0, 0.0, 0.0)
    brows: float = 0.3
    suit_degrees: float = 0.0
    room: tuple[float, float, float] = (1.0, 0.0, 0.0)
    light_from_degrees: float = 0.0
    light: float = 0.0
    gamma: float = 1.0


@dataclass(frozen=True)
class Person:
    shape: Shape
    colours: Colours
    mirrored: bool = False


# fmt: off
# Values in the order of the attributes above.
PEOPLE = (
    Person(Shape( 0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.00,  0.00),
           Colours((1.00,   0,   0), (1.00,   0,   0), 0.35,   0, (1.00,   0,   0), 200, 0.12, 1.00), mirrored=False),
    Person(Shape(-0.08, -0.10,  0.06, -0.03,  0.00,  0.04,  0.00, -0.08,  0.00,  0.02, -0.10),
           Colours((0.86,   3,   5), (0.42,   2, -12), 0.60, 205, (0.80,  -2,  -9),  20, 0.22, 1.05), mirrored=True),
    Person(Shape( 0.09,  0.12, -0.02,  0.05,  0.00,  0.00,  0.18,  0.10,  0.25,  0.00, -0.04),
           Colours((0.66,   3,   7), (0.30,   0, -18), 0.70, 150, (0.95,   2,   8), 160, 0.18, 1.00), mirrored=False),
    Person(Shape( 0.03, -0.12,  0.02,  0.06,  0.22, -0.05,  0.00,  0.00,  0.15,  0.03,  0.08),
           Colours((1.03,  -1,  -3), (1.25,  -1,  10), 0.25, 280, (0.88,   3,  -4), 330, 0.15, 0.92), mirrored=False),
    Person(Shape(-0.04,  0.10,  0.09, -0.02, -0.12,  0.06,  0.06,  0.00, -0.20, -0.02, -0.12),
           Colours((0.94,   5,   1), (0.95,  -3, -24), 0.40,  60, (0.62,   0,  -3), 180, 0.30, 1.00), mirrored=True),
    Person(Shape( 0.05,  0.02, -0.06,  0.00,  0.12, -0.04,  0.10, -0.10,  0.30,  0.00,  0.05),
           Colours((0.58,   4,   6), (0.24,   1, -20), 0.80, 100, (0.85,  -3,   4),   0, 0.20, 0.95), mirrored=False),
    Person(Shape(-0.06,  0.04,  0.03,  0.04,  0.06,  0.02,  0.00,  0.10,  0.00,  0.04,  0.10),
           Colours((1.00,   3,  -1), (0.78,  16,   8), 0.50, 235, (0.72,  -6,   3), 140, 0.16, 1.00), mirrored=True),
    Person(Shape( 0.10, -0.04,  0.05,  0.02, -0.08,  0.00, -0.12,  0.00, -0.10, -0.01, -0.06),
           Colours((0.90,   3,   5), (0.36,   0, -16), 0.75, 175, (0.90,   0,  12), 220, 0.24, 1.08), mirrored=False),
    Person(Shape(-0.09, -0.06, -0.03, -0.05,  0.16,  0.05, -0.08,  0.04,  0.00,  0.00,  0.02),
           Colours((0.78,   6,   4), (0.55,   8,  -2), 0.55, 320, (0.55,   3, -12),  30, 0.28, 0.95), mirrored=False),
    Person(Shape( 0.02,  0.15,  0.08, -0.04, -0.05,  0.03,  0.15,  0.06, -0.15,  0.01, -0.14),
           Colours((0.98,   4,   3), (1.05,  -4, -14), 0.45,  20, (1.00,  -4,  -8), 190, 0.14, 1.10), mirrored=True),
)
# fmt: on

# Creases of the skin at the apex: (x, y) in head units, half widths, change of brightness.
CREASES: dict[str, tuple[tuple[float, float, float, float, float], ...]] = {
    "anger": ((-0.09, -0.20, 0.016, 0.07, -0.38), (0.09, -0.20, 0.016, 0.07, -0.38), (0.0, -0.05, 0.12, 0.025, -0.12)),
    "disgust": (
        (0.0, -0.02, 0.09, 0.022, -0.18),
        (0.0, 0.08, 0.08, 0.022, -0.15),
        (-0.07, -0.18, 0.016, 0.05, -0.22),
        (0.07, -0.18, 0.016, 0.05, -0.22),
    ),
    "fear": ((-0.06, -0.22, 0.014, 0.05, -0.18), (0.06, -0.22, 0.014, 0.05, -0.18)),
    "happiness": ((-0.78, 0.08, 0.07, 0.012, -0.15), (0.78, 0.08, 0.07, 0.012, -0.15)),
    "sadness": ((-0.06, -0.24, 0.016, 0.06, -0.25), (0.06, -0.24, 0.016, 0.06, -0.25), (0.0, 1.22, 0.16, 0.03, -0.18)),
    "surprise": ((0.0, 0.98, 0.3, 0.05, -0.08),),
}
# Share of the photographed teeth that stays visible at the apex; elsewhere none.
TEETH = {"happiness": 1.0, "fear": 0.35, "surprise": 0.1, "disgust": 0.3}
DARK_MOUTH = np.array([58, 22, 24])


def film(subject: int, emotion: str, sentence: int) -> Iterator[Image]:
    """Frames of one video, (576,720,3) RGB: neutral, onset, apex. The same arguments give the same frames.

    Args:
        subject: 1 … 10.
        sentence: chooses timing, strength, head movement and noise.

    Raises:
        FerPrepError: as `portrait`.
    """
    rng = np.random.default_rng([subject, sorted(CREASES).index(emotion), sentence])
    face, person = portrait(), PEOPLE[subject - 1]
    strength_N = _timeline(rng)
    skin_HWK = painted(subject)
    neutral_HWK = _with_mouth(face, skin_HWK, teeth=0.0)
    apex_HWK = _with_creases(face, _with_mouth(face, skin_HWK, teeth=TEETH.get(emotion, 0.0)), emotion)
    levels_L = np.linspace(0.0, strength_N.max(), N_LEVELS)
    maps_LHW2 = _warps(face, person.shape, emotion, levels_L)
    gain, offset = rng.uniform(0.92, 1.08), rng.uniform(-6.0, 6.0)
    for strength, camera_23 in zip(
        strength_N, _head_drift(rng, len(strength_N), mirrored=person.mirrored), strict=True
    ):
        place = strength / levels_L[-1] * (N_LEVELS - 1)
        below = min(int(place), N_LEVELS - 2)
        map_HW2 = maps_LHW2[below] + np.float32(place - below) * (maps_LHW2[below + 1] - maps_LHW2[below])
        blend = min(1.0, float(strength))
        still_HWK = np.asarray(cv2.addWeighted(neutral_HWK, 1 - blend, apex_HWK, blend, 0), np.uint8)
        frame_HWK = _seen_through(camera_23, still_HWK, map_HW2)
        yield np.asarray(cv2.addWeighted(frame_HWK, gain, _grain(rng), 1, offset - 128), np.uint8)


def _timeline(rng: np.random.Generator) -> Floats:
    """Strength of the expression per frame: 24 to 32 frames; a smooth onset, then a hold that breathes a little."""
    n_frames, lead, onset = rng.integers(24, 33), rng.integers(2, 6), rng.integers(8, 15)
    rise_N = smoothstep((np.arange(n_frames) - lead) / onset)
    breath_N = 1 + 0.04 * np.sin(np.arange(n_frames) / rng.uniform(2, 4) + rng.uniform(0, 6))
    return np.asarray(rng.uniform(0.8, 1.15) * rise_N * breath_N)


def _warps(face: Portrait, shape: Shape, emotion: str, levels_L: Floats) -> list[Floats]:
    """Displacement maps from the neutral face to the apex, in portrait pixels."""
    inside_M1 = _inside(face)[:, None]
    smile_M2 = inside_M1 * neutral_shift(face.points_M2)
    neutral_M2 = face.points_M2 + smile_M2
    neutral_M2 = neutral_M2 + inside_M1 * person_shift(neutral_M2, shape)
    apex_M2 = inside_M1 * expression_shift(neutral_M2, emotion, -smile_M2)
    from_M2 = face.pixels(face.points_M2)
    return [
        displacement_map(face.pixels(neutral_M2 + level * apex_M2), from_M2, face.triangles_T3, PORTRAIT_HW)
        for level in levels_L
    ]


def person_shift(points_M2: Floats, shape: Shape) -> Floats:
    """Displacement from the photographed face to a person's, (M,2)."""
    move = Shift(points_M2)
    chin_2, mouth_2, nose_2 = move.at(CHIN), move.at(61, 291), move.at(1)
    head_2 = np.array([0.0, 0.25])
    move.stretch(head_2, (0.9, 1.0), x=shape.face_width)
    move.stretch(np.array([0.0, chin_2[1] - 0.25]), (0.7, 0.33), x=shape.jaw_width)
    move.push(chin_2, (0.6, 0.4), y=shape.chin_length)
    for side in SIDES:
        eye_2 = move.at(*side.eye)
        move.push(eye_2, (0.28, 0.25), x=side.sign * shape.eye_distance / 2)
        move.stretch(eye_2, (0.22, 0.12), x=0.6 * shape.eye_size, y=shape.eye_size)
        move.push(move.at(*side.brow_middle), (0.3, 0.11), y=-shape.brow_height)
    move.push(nose_2, (0.22, 0.2), y=shape.nose_length)
    move.stretch(move.at(98, 327), (0.2, 0.16), x=shape.nose_width)
    move.stretch(mouth_2, (0.4, 0.2), x=shape.mouth_width)
    move.stretch(move.at(13, 14), (0.35, 0.1), y=shape.lip_fullness)
    move.stretch(np.array([0.0, -0.2]), (0.8, 0.8), y=shape.hair_volume)
    move.stretch(np.array([0.0, -0.6]), (0.9, 0.35), x=shape.hair_volume)
    return move.shift_M2


def _inside(face: Portrait) -> Floats:
    """0 on the border of the portrait, 1 from a tenth of a frame inwards: how far a point may move."""
    place_M2 = face.pixels(face.points_M2)
    border_M = np.minimum(place_M2, np.array(PORTRAIT_HW[::-1]) - 1 - place_M2).min(axis=1)
    return smoothstep(border_M / 60)


def _head_drift(rng: np.random.Generator, n_frames: int, *, mirrored: bool) -> Iterator[Floats]:
    """Per frame the affine (2,3) from pixels of the frame to pixels of the portrait."""
    frame_2, portrait_2 = np.array(FRAME_HW[::-1]) / 2, np.array(PORTRAIT_HW[::-1]) / 2
    turn, x, y, zoom = rng.uniform(-1, 1, 4) * (3.5, 12, 9, 0.05)
    wander = rng.uniform(-1, 1, (4, 2)) * np.array([1.2, 4, 3, 0.012])[:, None]
    phase, pace = rng.uniform(0, 6.3, (4, 2)), rng.uniform(0.06, 0.22, (4, 2))
    for t in range(n_frames):
        d_turn, d_x, d_y, d_zoom = (wander * np.sin(phase + pace * t)).sum(axis=1)
        angle, scale = np.deg2rad(turn + d_turn), 1 / (1 + zoom + d_zoom)
        turn_22 = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        if mirrored:
            turn_22 = turn_22 * (-1, 1)
        yield np.column_stack([turn_22, portrait_2 + np.array([x + d_x, y + d_y]) - turn_22 @ frame_2])


def _seen_through(camera_23: Floats, still_HWK: Image, map_HW2: Floats) -> Image:
    """One frame: warp and camera in one step, so that the picture is interpolated once."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shift_HW2 = cv2.warpAffine(
        map_HW2, camera_23 / MAP_STEP, FRAME_HW[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    # the shift plus the camera's place of the pixel, added in place: with temporary arrays it was the costliest step
    place_HW2 = np.asarray(shift_HW2, np.float32)
    along_23 = camera_23.astype(np.float32)
    x_W1, y_H1 = (np.arange(n, dtype=np.float32)[:, None] for n in FRAME_HW[::-1])
    place_HW2 += x_W1 * along_23[:, 0] + along_23[:, 2]
    for axis in (0, 1):
        place_HW2[..., axis] += y_H1 * along_23[axis, 1]
    nowhere = np.empty(0, np.float32)  # the second map of separate x and y
    frame_HWK = cv2.remap(still_HWK, place_HW2, nowhere, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(frame_HWK, np.uint8)


@lru_cache(maxsize=1)
def _grain_tile() -> Image:
    grain_HW = np.random.default_rng(1).normal(128, 1.3, (FRAME_HW[0] + 64, FRAME_HW[1] + 64))
    return np.repeat(np.round(grain_HW).astype(np.uint8)[..., None], 3, axis=2)


def _grain(rng: np.random.Generator) -> Image:
    """Noise of the sensor around 128: a random window of one tile, far cheaper than new noise."""
    top, left = rng.integers(0, 64, 2)
    return np.ascontiguousarray(_grain_tile()[top : top + FRAME_HW[0], left : left + FRAME_HW[1]])


@lru_cache(maxsize=2)
def painted(subject: int) -> Image:
    """The portrait in a person's colours and light."""
    face, colours = portrait(), PEOPLE[subject - 1].colours
    lab_HWK = np.asarray(cv2.cvtColor(face.rgb_HWK.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    skin_HW, hair_HW, suit_HW = _regions(face, lab_HWK)
    room_HW = np.clip(1 - skin_HW - hair_HW - suit_HW, 0, 1)
    eyes_HW = face.mask(EYES, blur=1.5)
    mouth_HW = face.mask((INNER_MOUTH,), blur=1.5)
    tinted = (
        (skin_HW * (1 - eyes_HW) * (1 - mouth_HW), colours.skin),
        (hair_HW, colours.hair),
        (room_HW, colours.room),
    )
    for weight_HW, (lightness, a, b) in tinted:
        lab_HWK[..., 0] *= 1 + weight_HW * (lightness - 1)
        lab_HWK[..., 1:] += weight_HW[..., None] * np.array([a, b], np.float32)
    lab_HWK[..., 1:] = _turned(lab_HWK[..., 1:], np.deg2rad(colours.suit_degrees) * suit_HW)
    lab_HWK[..., 0] *= 1 - 0.7 * colours.brows * face.mask(BROWS, blur=2.5)
    x_1W, y_H1 = face.grid()
    towards = np.deg2rad(colours.light_from_degrees)
    lab_HWK[..., 0] *= 1 + colours.light * np.clip(np.cos(towards) * x_1W + np.sin(towards) * y_H1, -1.2, 1.2)
    lab_HWK[..., 0] = 100 * np.clip(lab_HWK[..., 0] / 100, 0, 1) ** colours.gamma
    rgb_HWK = cv2.cvtColor(lab_HWK, cv2.COLOR_LAB2RGB)
    return np.asarray(np.round(np.clip(rgb_HWK, 0, 1) * 255), np.uint8)


def _turned(ab_HW2: Floats, angle_HW: Floats) -> Floats:
    """Hue turned by an angle per pixel."""
    a_HW, b_HW = ab_HW2[..., 0], ab_HW2[..., 1]
    cos_HW, sin_HW = np.cos(angle_HW), np.sin(angle_HW)
    return np.stack([a_HW * cos_HW - b_HW * sin_HW, a_HW * sin_HW + b_HW * cos_HW], axis=2)


def _regions(face: Portrait, lab_HWK: Floats) -> tuple[Floats, Floats, Floats]:
    """Soft masks of skin, hair and suit, told apart by place and colour; each (H,W) in 0 … 1."""
    smooth_HWK = cv2.GaussianBlur(lab_HWK, (0, 0), 2.0)
    light_HW, a_HW, b_HW = smooth_HWK[..., 0], smooth_HWK[..., 1], smooth_HWK[..., 2]
    x_1W, y_H1 = face.grid()
    head_HW = smoothstep((1.1 - np.hypot(x_1W / 1.75, (y_H1 + 0.25) / 1.9)) / 0.1)
    throat_HW = smoothstep((1.1 - np.hypot(x_1W / 1.15, (y_H1 - 0.6) / 1.6)) / 0.1)
    face_HW = face.mask((OVAL,), blur=3.0) * smoothstep((y_H1 + 0.42) / 0.15)
    yellow_HW = smoothstep((b_HW - 1.3 * a_HW - 8) / 6)
    hair_HW = (
        head_HW
        * (1 - face_HW)
        * np.maximum(yellow_HW, smoothstep((62 - light_HW) / 15))
        * smoothstep((0.95 - y_H1) / 0.2)
    )
    skin_HW = (
        throat_HW * np.maximum(face_HW, smoothstep((light_HW - 35) / 12) * smoothstep((b_HW - 6) / 4)) * (1 - hair_HW)
    )
    suit_HW = (1 - throat_HW) * (1 - head_HW) * smoothstep((a_HW - 12) / 8) * smoothstep((b_HW - 10) / 8)
    return skin_HW.astype(np.float32), hair_HW.astype(np.float32), suit_HW.astype(np.float32)


def _with_mouth(face: Portrait, rgb_HWK: Image, *, teeth: float) -> Image:
    """Darken the inside of the mouth but for the upper share of it, where the photograph's teeth stay."""
    if teeth >= 1:
        return rgb_HWK
    upper_L2, lower_L2 = face.points_M2[UPPER_INNER_LIP], face.points_M2[LOWER_INNER_LIP]
    left, top, width, height = cv2.boundingRect(face.pixels(face.points_M2[list(INNER_MOUTH)]).astype(np.int32))
    rows, columns = slice(top - 6, top + height + 6), slice(left - 6, left + width + 6)
    x_1W, y_H1 = face.grid()[0][:, columns], face.grid()[1][rows]
    top_1W = np.interp(x_1W, upper_L2[:, 0], upper_L2[:, 1])
    gap_1W = np.maximum(np.interp(x_1W, lower_L2[:, 0], lower_L2[:, 1]) - top_1W, 0.02)
    dark_HW = smoothstep(((y_H1 - top_1W) / gap_1W - teeth + 0.1) / 0.2)
    weight_HW1 = (face.mask((INNER_MOUTH,), blur=1.2)[rows, columns] * dark_HW)[..., None]
    painted_HWK = rgb_HWK.copy()
    painted_HWK[rows, columns] = np.round(rgb_HWK[rows, columns] * (1 - weight_HW1) + DARK_MOUTH * weight_HW1)
    return painted_HWK


def _with_creases(face: Portrait, rgb_HWK: Image, emotion: str) -> Image:
    x_1W, y_H1 = face.grid()
    shade_HW = np.ones(PORTRAIT_HW, np.float32)
    for x, y, x_width, y_width, change in CREASES[emotion]:
        shade_HW *= 1 + change * np.exp(-(((x_1W - x) / x_width) ** 2 + ((y_H1 - y) / y_width) ** 2) / 2)
    return np.asarray(np.round(np.clip(rgb_HWK * shade_HW[..., None], 0, 255)), np.uint8)
