"""Referring expressions from ReCLIP's JSON lines or from the original REFER files."""

from __future__ import annotations

import io
import json
import pickle
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textregion_ros.evaluation.errors import BadData
from textregion_ros.evaluation.pictures import read_json

FloatBox = list[float]  # x y w h, px of the picture
DEFAULT_SPLIT_BY = {"refcoco": "unc", "refcoco+": "unc", "refcocog": "umd"}


@dataclass(frozen=True)
class Expression:
    """text: in lower case. gold: the boxes of what it means."""

    text: str
    gold: list[FloatBox]


@dataclass(frozen=True)
class Picture:
    """size: (H, W) as annotated, None where it is not. detections: of a detector, for snapping."""

    path: Path
    size: tuple[int, int] | None
    expressions: list[Expression]
    detections: list[FloatBox]


@dataclass(frozen=True)
class Reference:
    """One object with its expressions, as both layouts have them."""

    file_name: str
    image_id: int
    size: tuple[int, int] | None
    expressions: list[Expression]


def load_pictures(
    root: Path,
    dataset: str,
    split: str,
    images: Path | None = None,
    detections: Path | None = None,
    split_by: str | None = None,
) -> tuple[list[Picture], bool]:
    """The pictures of a split, and whether detections were found.

    `root` holds {dataset}_{split}.jsonl (ReCLIP), or the folder {dataset} with refs(…).p and
    instances.json (REFER). Raises BadData.
    """
    lines = root / f"{dataset}_{split.lower()}.jsonl"
    refer = root / dataset
    if lines.is_file():
        references = list(_read_reclip(lines))
    elif refer.is_dir():
        references = _read_refer(refer, split, split_by or DEFAULT_SPLIT_BY[dataset])
    else:
        raise BadData(f"{root} has neither {lines.name} (ReCLIP) nor the folder {dataset} (REFER)")
    boxes = detections or root / f"{dataset}_dets_dict.json"
    found = _read_detections(boxes) if detections or boxes.is_file() else None
    pictures = _by_picture(references, images or _images_folder(root), found or {})
    return pictures, found is not None


def _images_folder(root: Path) -> Path:
    places = ("train2014", "../train2014", "images/mscoco/images/train2014", "images/train2014")
    for place in places:
        if (root / place).is_dir():
            return root / place
    raise BadData(f"{root} has none of {', '.join(places)}: name the pictures' folder by --images")


def _by_picture(
    references: Iterable[Reference], folder: Path, detections: dict[int, list[FloatBox]]
) -> list[Picture]:
    pictures: dict[str, Picture] = {}
    for reference in references:
        new = Picture(
            folder / reference.file_name,
            reference.size,
            [],
            detections.get(reference.image_id, []),
        )
        pictures.setdefault(reference.file_name, new).expressions.extend(reference.expressions)
    return list(pictures.values())


def _read_reclip(path: Path) -> Iterator[Reference]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            with _named(f"{path} line {number}"):
                yield _reclip_reference(json.loads(line))


def _reclip_reference(entry: dict[str, Any]) -> Reference:
    meant = entry["ann_id"] if isinstance(entry["ann_id"], list) else [entry["ann_id"]]
    gold = [_box(ann["bbox"]) for ann in entry["anns"] if ann["id"] in meant]
    if not gold:
        raise ValueError(f"none of its anns has the id {meant}")
    # The file names the object too: COCO_train2014_000000581857_16.jpg is object 16 of a picture.
    name = re.sub(r"^(COCO_\w+_\d{12})_\d+(\.\w+)$", r"\1\2", entry["file_name"])
    expressions = [Expression(s["raw"].lower(), gold) for s in entry["sentences"]]
    return Reference(name, int(entry["image_id"]), None, expressions)


def _read_refer(folder: Path, split: str, split_by: str) -> list[Reference]:
    refs_path, instances_path = folder / f"refs({split_by}).p", folder / "instances.json"
    refs, instances = _read_pickle(refs_path), read_json(instances_path)
    with _named(str(instances_path)):
        annotations = {ann["id"]: _box(ann["bbox"]) for ann in instances["annotations"]}
        images = {
            image["id"]: (image["file_name"], (int(image["height"]), int(image["width"])))
            for image in instances["images"]
        }
    with _named(str(refs_path)):
        chosen = [ref for ref in refs if ref["split"].lower() == split.lower()]
        if not chosen:
            others = ", ".join(sorted({ref["split"] for ref in refs}))
            raise ValueError(f"no split {split}, only {others}")
        return [
            Reference(
                images[ref["image_id"]][0],
                int(ref["image_id"]),
                images[ref["image_id"]][1],
                [
                    Expression(s["raw"].lower(), [annotations[ref["ann_id"]]])
                    for s in ref["sentences"]
                ],
            )
            for ref in chosen
        ]


class _DataUnpickler(pickle.Unpickler):
    """Plain data only: a pickle that would run code is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which plain data does not")


def _read_pickle(path: Path) -> Any:
    if not path.is_file():
        raise BadData(f"there is no file {path}")
    try:
        return _DataUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises almost anything
        raise BadData(f"{path} cannot be read: {error}") from error


def _read_detections(path: Path) -> dict[int, list[FloatBox]]:
    """Boxes by image id, from {id: [box, …]} or [{image_id, box}, …]."""
    data = read_json(path)
    found: dict[int, list[FloatBox]] = {}
    with _named(str(path)):
        if isinstance(data, dict):
            return {int(key): [_box(box) for box in boxes] for key, boxes in data.items()}
        for entry in data:
            found.setdefault(int(entry["image_id"]), []).append(_box(entry["box"]))
    return found


def _box(values: Any) -> FloatBox:
    x, y, w, h = (float(value) for value in values)
    return [x, y, w, h]


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Name the place in errors about the data's form."""
    try:
        yield
    except KeyError as error:
        raise BadData(f"{place}: there is no {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise BadData(f"{place}: {error}") from error
