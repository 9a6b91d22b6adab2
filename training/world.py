"""A rendered tabletop: MuJoCo compiles a pool of shapes once, every scene arranges some of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from training import shapes, textures

os.environ.setdefault("MUJOCO_GL", "egl")
import mujoco  # reads MUJOCO_GL when it is imported

SHAPES_PER_CATEGORY = 2
CLUTTER = 4
TEXTURES = 6
TABLE_HALF = (0.75, 0.6)
HIDDEN_GROUP, SHOWN_GROUP = 5, 1
# An int, since numpy compares element by element with the enumeration itself.
GEOM = int(mujoco.mjtObj.mjOBJ_GEOM)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in the table's frame (z up, origin on the table top, metres).

    `rotation` is 3×3 and takes vectors of the optical frame (x right, y down, z forward)
    to the table's frame. Pixel (0, 0) has its centre at (0, 0).
    """

    position: np.ndarray
    rotation: np.ndarray
    focal: float
    width: int
    height: int

    @property
    def matrix(self) -> np.ndarray:
        """The 3×3 intrinsic matrix."""
        return np.array(
            [
                [self.focal, 0, (self.width - 1) / 2],
                [0, self.focal, (self.height - 1) / 2],
                [0, 0, 1.0],
            ]
        )

    def on_table(self, u: float, v: float) -> np.ndarray | None:
        """The point of the table plane seen at a pixel; None above the horizon."""
        ray = self.rotation @ np.linalg.solve(self.matrix, [u, v, 1.0])
        if ray[2] > -1e-3:
            return None
        return self.position - ray * self.position[2] / ray[2]


def look_at(eye: np.ndarray, target: np.ndarray, focal: float, size: tuple[int, int]) -> Camera:
    """A level camera at `eye` that looks at `target`; size is (width, height) in pixels."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    return Camera(eye, rotation, focal, *size)


@dataclass(frozen=True)
class Slot:
    """One compiled object: its mocap body, geoms, and footprint (half extents x, y) and extents."""

    category: str
    mocap: int
    geoms: tuple[int, ...]
    materials: dict[str, int]
    extents: np.ndarray


Pool = list[tuple[str, tuple[shapes.Part, ...]]]
"""Things by the name of their category, or by what else they are."""


class World:
    """A compiled pool of shapes and textures. One OpenGL context each; use it in one thread."""

    def __init__(
        self, rng: Generator, size: tuple[int, int] = (640, 480), pool: Pool | None = None
    ) -> None:
        """`pool`: what there is to show; None for the categories and some clutter."""
        spec = mujoco.MjSpec()
        spec.visual.quality.shadowsize = 1024
        spec.visual.map.znear, spec.visual.map.zfar = 0.02, 12
        self._add_room(spec, rng)
        pool = _draw_pool(rng) if pool is None else pool
        for index, (_, pieces) in enumerate(pool):
            _add_object(spec, index, pieces)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.slots = [self._slot(index, *thing) for index, thing in enumerate(pool)]
        self._geom_slot = np.full(self.model.ngeom + 1, -1)
        for index, slot in enumerate(self.slots):
            self._geom_slot[list(slot.geoms)] = index
        self._renderer = mujoco.Renderer(self.model, size[1], size[0])

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()

    def _add_room(self, spec: mujoco.MjSpec, rng: Generator) -> None:
        for index in range(TEXTURES):
            texture = spec.add_texture(
                name=f"texture{index}",
                type=mujoco.mjtTexture.mjTEXTURE_2D,
                width=textures.SIDE,
                height=textures.SIDE,
                nchannel=3,
            )
            texture.data = textures.draw(rng).tobytes()
            material = spec.add_material(name=f"texture{index}", texrepeat=[1, 1])
            material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"texture{index}"
        room = spec.worldbody
        box = mujoco.mjtGeom.mjGEOM_BOX
        half = (*TABLE_HALF, 0.02)
        room.add_geom(name="table", type=box, size=half, pos=[0, 0, -0.02], material="texture0")
        room.add_geom(name="floor", type=box, size=[3, 3, 0.05], pos=[0, 0, -0.75])
        for name, x, y in (("east", 1, 0), ("west", -1, 0), ("north", 0, 1), ("south", 0, -1)):
            size = [0.05 if x else 3, 0.05 if y else 3, 2]
            room.add_geom(name=name, type=box, size=size, pos=[3 * x, 3 * y, 1])
        room.add_camera(name="camera")
        for index in range(3):
            room.add_light(name=f"light{index}", type=mujoco.mjtLightType.mjLIGHT_SPOT)

    def _slot(self, index: int, category: str, parts: tuple[shapes.Part, ...]) -> Slot:
        body = self.model.body(f"object{index}")
        vertices = np.concatenate([part.vertices for part in parts])
        return Slot(
            category=category,
            mocap=int(self.model.body_mocapid[body.id]),
            geoms=tuple(range(body.geomadr[0], body.geomadr[0] + body.geomnum[0])),
            materials={
                s: self.model.material(f"object{index}_{s}").id for s in ("paint", "metal", "paper")
            },
            extents=np.abs(vertices).max(0) * [2, 2, 1],
        )

    def arrange(self, placed: dict[int, tuple[np.ndarray, float]]) -> None:
        """Show just these slots, each at a table point (x, y, z) turned by yaw radians."""
        self.show(placed)
        for index, (position, yaw) in placed.items():
            mocap = self.slots[index].mocap
            self.data.mocap_pos[mocap] = position
            self.data.mocap_quat[mocap] = Rotation.from_euler("z", yaw).as_quat(scalar_first=True)

    def show(self, indices: Sequence[int]) -> None:
        """Show just these slots, where they stand."""
        for index, slot in enumerate(self.slots):
            group = SHOWN_GROUP if index in indices else HIDDEN_GROUP
            self.model.geom_group[list(slot.geoms)] = group

    def render(self, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Colour H×W×3 uint8 RGB, depth H×W float32 metres, and slot index H×W int16 (-1: room)."""
        self._aim(camera)
        colour = self._renderer.render().copy()
        self._renderer.enable_depth_rendering()
        depth = self._renderer.render().copy()
        self._renderer.disable_depth_rendering()
        return colour, depth, self.slot_image(camera)

    def slot_image(self, camera: Camera) -> np.ndarray:
        """The slot index seen at each pixel, int16, -1 for the room."""
        self._aim(camera)
        self._renderer.enable_segmentation_rendering()
        ids = self._renderer.render()
        self._renderer.disable_segmentation_rendering()
        geom = np.where(ids[..., 1] == GEOM, ids[..., 0], -1)
        return self._geom_slot[geom].astype(np.int16)

    def table_image(self, camera: Camera) -> np.ndarray:
        """Bool H×W: where the table top is what one sees, were there nothing on it."""
        self._aim(camera)
        self._renderer.enable_segmentation_rendering()
        ids = self._renderer.render()
        self._renderer.disable_segmentation_rendering()
        return ids[..., 0] == self.model.geom("table").id

    def _aim(self, camera: Camera) -> None:
        index = self.model.camera("camera").id
        # MuJoCo's cameras look along -z with y up.
        turn = Rotation.from_matrix(camera.rotation @ np.diag([1.0, -1, -1]))
        self.model.cam_pos[index] = camera.position
        self.model.cam_quat[index] = turn.as_quat(scalar_first=True)
        fovy = 2 * np.degrees(np.arctan(camera.height / 2 / camera.focal))
        self.model.cam_fovy[index] = fovy
        mujoco.mj_forward(self.model, self.data)
        self._renderer.update_scene(self.data, index)


def _draw_pool(rng: Generator) -> Pool:
    names = [c for c in shapes.CATEGORIES for _ in range(SHAPES_PER_CATEGORY)]
    pool = [(name, shapes.make(name, rng)) for name in names]
    return pool + [("clutter", shapes.clutter(rng)) for _ in range(CLUTTER)]


def _add_object(spec: mujoco.MjSpec, index: int, parts: tuple[shapes.Part, ...]) -> None:
    body = spec.worldbody.add_body(name=f"object{index}", mocap=True)
    for surface in ("paint", "metal", "paper"):
        spec.add_material(name=f"object{index}_{surface}")
    for number, part in enumerate(parts):
        name = f"object{index}_{number}"
        spec.add_mesh(
            name=name,
            uservert=part.vertices.ravel(),
            userface=part.faces.ravel(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
        body.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            material=f"object{index}_{part.surface}",
            contype=0,
            conaffinity=0,
        )
