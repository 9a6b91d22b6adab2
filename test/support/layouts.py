"""Writes data sets in the exact layouts in which they are published."""

import json
import pickle

import cv2
import numpy as np
from PIL import Image

from test.support.oracle import SIZE, scene


def write_picture(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)


def write_labels(path, values):
    """Values as the data sets store them: with a palette, in 16 bits, or plain."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        Image.fromarray(values.astype(np.uint16)).save(path)
    elif "SegmentationClass" in str(path):
        image = Image.fromarray(values.astype(np.uint8), "P")
        image.putpalette([value * 7 % 256 for value in range(768)])
        image.save(path)
    else:
        Image.fromarray(values.astype(np.uint8)).save(path)


def sample_names(dataset, count):
    if "leftImg8bit" in dataset.layout.image:
        return [f"town{i % 2}/town{i % 2}_{i:06d}_000019" for i in range(count)]
    return [f"2007_{i:06d}" for i in range(count)]


def semantic_values(dataset, objects, ignored_rows=4):
    """Label values for a map of objects: each object a class; the first rows are not counted."""
    classes = len(dataset.names)
    values = (objects.astype(np.int64) * 7) % classes + dataset.label_offset
    values[:ignored_rows] = np.array(dataset.ignore)[np.arange(ignored_rows) % len(dataset.ignore)][
        :, None
    ]
    return values


def write_semantic(dataset, root, count=2):
    """Pictures and label files of scenes; their names in the data set's order."""
    names = sample_names(dataset, count)
    for number, name in enumerate(names):
        rgb, objects = scene(number)
        write_picture(root / dataset.layout.image.format(name), rgb)
        write_labels(root / dataset.layout.label.format(name), semantic_values(dataset, objects))
    if dataset.layout.samples not in ("images", "labels"):
        listing = root / dataset.layout.samples
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("\n".join(names) + "\n")
    return sorted(names)


def coco_name(image_id):
    return f"COCO_train2014_{image_id:012d}.jpg"


def write_coco(folder, count=2):
    """Pictures under COCO's names: image id 100 is scene 0."""
    for number in range(count):
        write_picture(folder / coco_name(100 + number), scene(number)[0])


# Two objects in a picture, three references, one of them with two sentences. Boxes x y w h.
BOXES = {1: [10.0, 8.0, 20.0, 16.0], 2: [60.0, 20.0, 24.0, 12.0]}
REFERENCES = [
    {"image": 100, "ann": 1, "sentences": ["Left thing", "the LEFT one"], "split": "testA"},
    {"image": 101, "ann": 2, "sentences": ["right thing"], "split": "testA"},
    {"image": 100, "ann": 2, "sentences": ["right thing"], "split": "testA"},
]


def sentences(reference):
    return [
        {"raw": text, "sent": text.lower(), "tokens": text.lower().split(), "sent_id": number}
        for number, text in enumerate(reference["sentences"])
    ]


def write_reclip(root, dataset="refcoco", split="testa"):
    write_coco(root / "train2014")
    lines = [
        {
            "image_id": reference["image"],
            "file_name": coco_name(reference["image"]).replace(".jpg", f"_{number}.jpg"),
            "ann_id": reference["ann"],
            "ref_id": number,
            "anns": [{"id": key, "bbox": box} for key, box in BOXES.items()],
            "sentences": sentences(reference),
        }
        for number, reference in enumerate(REFERENCES)
    ]
    path = root / f"{dataset}_{split}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_refer(root, dataset="refcoco", split_by="unc"):
    write_coco(root / "images/mscoco/images/train2014")
    folder = root / dataset
    folder.mkdir()
    annotations = [
        {"id": image * 10 + key, "image_id": image, "bbox": box}
        for image in (100, 101)
        for key, box in BOXES.items()
    ]
    images = [
        {"id": image, "file_name": coco_name(image), "height": SIZE[0], "width": SIZE[1]}
        for image in (100, 101)
    ]
    refs = [
        {
            "ref_id": number,
            "ann_id": reference["image"] * 10 + reference["ann"],
            "image_id": reference["image"],
            "category_id": 1,
            "file_name": coco_name(reference["image"]).replace(".jpg", f"_{number}.jpg"),
            "sent_ids": [0],
            "sentences": sentences(reference),
            "split": reference["split"],
        }
        for number, reference in enumerate(REFERENCES)
    ]
    refs.append({**refs[0], "split": "train", "ref_id": 99})
    (folder / f"refs({split_by}).p").write_bytes(pickle.dumps(refs, protocol=2))
    instances = {"images": images, "annotations": annotations, "categories": []}
    (folder / "instances.json").write_text(json.dumps(instances))
    return folder


def write_detections(root, dataset="refcoco"):
    """A detector's boxes: good ones for both objects of image 100, none for image 101."""
    boxes = {"100": [[0, 0, 5, 5], [11, 9, 20, 16], [60, 21, 24, 12]], "101": []}
    path = root / f"{dataset}_dets_dict.json"
    path.write_text(json.dumps(boxes))
    return path


def polygon(x, y, w, h, label="target"):
    corners = [[x, y], [x + w - 1, y], [x + w - 1, y + h - 1], [x, y + h - 1]]
    return {"label": label, "points": [[float(a), float(b)] for a, b in corners]}


# A short question with a part that is not counted, a long one, and one with nothing to find.
QUESTIONS = {
    "a": ("the cup", False, [polygon(10, 10, 20, 10), polygon(10, 10, 5, 10, "ignore")]),
    "b": ("what holds soup?", True, [polygon(50, 20, 10, 10), polygon(0, 0, 9, 9, "flag")]),
    "c": ("what flies here?", True, []),
}


def write_reason_seg(root, split="test"):
    folder = root / "ReasonSeg" / split
    for number, (name, (text, long, shapes)) in enumerate(QUESTIONS.items()):
        write_picture(folder / f"{name}.jpg", scene(number)[0])
        data = {"text": [text], "is_sentence": long, "shapes": shapes}
        (folder / f"{name}.json").write_text(json.dumps(data))
    return folder


def box_mask(x, y, w, h):
    mask = np.zeros(SIZE, bool)
    mask[y : y + h, x : x + w] = True
    return mask


def outline(mask):
    """x y w h of a mask, by OpenCV."""
    return cv2.boundingRect(mask.astype(np.uint8))
