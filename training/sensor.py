"""Depth as a structured-light camera would measure it, from a rendered depth image.

The model is that of the first Kinect, which is coarser than today's cameras at arm's length:

- axial noise 1.2 mm + 1.9 mm/m² · (z - 0.4 m)², and for surfaces turned away by more than 60° the
  term that grows with the angle; lateral noise of 0.8 px (Nguyen, Izadi and Lovell, Modeling
  Kinect sensor noise for improved 3D reconstruction and tracking, 3DIMPVT 2012);
- half of the axial variance is alike within about 3 px, since neighbouring matching windows
  overlap;
- disparity in steps of 1/8 px with a baseline of 75 mm (Khoshelham and Oude Elberink, Accuracy and
  resolution of Kinect depth data, Sensors 2012);
- no depth where the projector's light is in the shadow of something nearer, on surfaces turned
  away by more than 80°, on 2 % of the pixels at random, and in round holes as gloss leaves them;
- within 2 px of an edge of depth half of the pixels have none, and a quarter lie in the air between
  near and far.

The first three figures are measured ones from the papers; the others are assumed.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

BASELINE, DISPARITY_STEP = 0.075, 1 / 8
LATERAL = 0.8
ALIKE = 3.0
EDGE = 0.02
LOST, LOST_AT_EDGE, FLYING_AT_EDGE = 0.02, 0.5, 0.25
HOLES, HOLE_RADIUS = 25, (2.0, 7.0)
STEEPEST = np.radians(80)


def measure(depth: np.ndarray, focal: float, rng: Generator) -> np.ndarray:
    """Rendered depth H×W m, and the focal length in px -> measured depth, uint16 mm, 0: none."""
    true = depth.astype(np.float32)
    angle = _incidence(true, focal)
    edge, near, far = _edges(true)
    seen = ~_shadow(true, focal) & (angle < STEEPEST) & ~_holes(true.shape, rng)
    seen &= rng.random(true.shape) >= np.where(edge, LOST_AT_EDGE, LOST)
    z = _shifted(true, rng)
    z = z + _axial_deviation(z, angle) * _noise(z.shape, rng)
    between = near + (far - near) * rng.random(true.shape)
    z = np.where(edge & (rng.random(true.shape) < FLYING_AT_EDGE), between, z)
    scale = focal * BASELINE / DISPARITY_STEP
    z = scale / np.rint(scale / z)
    return np.where(seen, np.rint(1000 * z), 0).astype(np.uint16)


def _incidence(depth: np.ndarray, focal: float) -> np.ndarray:
    """The angle between the line of sight and the surface's normal, radians."""
    height, width = depth.shape
    v, u = np.mgrid[:height, :width]
    rays = np.stack([(u - (width - 1) / 2) / focal, (v - (height - 1) / 2) / focal], -1)
    rays = np.concatenate([rays, np.ones((height, width, 1))], -1)
    points = rays * depth[..., None]
    normals = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    lengths = np.linalg.norm(normals, axis=-1) * np.linalg.norm(rays, axis=-1)
    cosine = np.abs(np.einsum("ijk,ijk->ij", normals, rays)) / np.maximum(lengths, 1e-12)
    # At an edge of depth the slope is not a surface's; edges have a rule of their own.
    return np.where(_edges(depth)[0], 0.0, np.arccos(np.clip(cosine, 0, 1)))


def _edges(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether a pixel lies within 2 px of an edge, and the nearest and farthest depth there."""
    window = np.ones((5, 5), np.uint8)
    near, far = cv2.erode(depth, window), cv2.dilate(depth, window)
    # A slope seen from the side changes evenly and has its middle halfway.
    middle = cv2.medianBlur(depth, 5)
    uneven = np.minimum(far - middle, middle - near) < 0.25 * (far - near)
    return (far - near > EDGE) & uneven, near, far


def _shadow(depth: np.ndarray, focal: float) -> np.ndarray:
    """Where something nearer stands between the projector, to the camera's right, and a point."""
    disparity = focal * BASELINE / depth
    landing = np.arange(depth.shape[1]) - disparity
    ahead = np.minimum.accumulate(landing[:, ::-1], axis=1)[:, ::-1]
    return landing > ahead + 1.0


def _holes(shape: tuple[int, int], rng: Generator) -> np.ndarray:
    """Round spots at random, bool H×W."""
    holes = np.zeros(shape, np.uint8)
    for x, y, radius in zip(
        rng.uniform(0, shape[1], HOLES),
        rng.uniform(0, shape[0], HOLES),
        rng.uniform(*HOLE_RADIUS, HOLES),
        strict=True,
    ):
        cv2.circle(holes, (round(x), round(y)), round(radius), 1, cv2.FILLED)
    return holes > 0


def _shifted(depth: np.ndarray, rng: Generator) -> np.ndarray:
    """Depth of the pixel that lateral noise leads to."""
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]].astype(np.float32)
    u += rng.normal(0, LATERAL, depth.shape).astype(np.float32)
    v += rng.normal(0, LATERAL, depth.shape).astype(np.float32)
    return cv2.remap(depth, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def _axial_deviation(z: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Standard deviation of depth, m."""
    steep = np.minimum(angle, STEEPEST)
    turned = 1e-4 / np.sqrt(z) * (steep / (np.pi / 2 - steep)) ** 2
    turned = np.where(steep > np.radians(60), turned, 0.0)
    return 0.0012 + 0.0019 * (z - 0.4) ** 2 + turned


def _noise(shape: tuple[int, int], rng: Generator) -> np.ndarray:
    """Unit noise, half of its variance alike within some pixels."""
    alike = cv2.GaussianBlur(rng.normal(size=shape), (0, 0), ALIKE / 2)
    return np.sqrt(0.5) * (rng.normal(size=shape) + alike / alike.std())
