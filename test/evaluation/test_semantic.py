import numpy as np
import pytest

from test.support.layouts import semantic_values, write_labels, write_semantic
from test.support.oracle import Oracle
from textregion_ros.evaluation import semantic
from textregion_ros.evaluation.confusion import confusion, count_pairs, measures
from textregion_ros.evaluation.errors import BadData
from textregion_ros.evaluation.pictures import read_label, read_rgb
from textregion_ros.evaluation.protocol import dataset_names, load_dataset
from textregion_ros.regions import load_profile

# Classes with background, texts, rescale, grid, threshold, as the paper's evaluation has them.
PUBLISHED = {
    "voc21": (21, 46, (1008, 672), 16, 0.4),
    "voc20": (20, 20, (2016, 672), 16, 0.0),
    "context60": (60, 60, (2016, 672), 16, 0.35),
    "context59": (59, 59, (2016, 672), 16, 0.0),
    "coco_object": (81, 97, (2016, 672), 16, 0.5),
    "coco_stuff": (171, 171, (1334, 896), 16, 0.0),
    "cityscapes": (19, 19, (2688, 1344), 36, 0.0),
    "ade20k": (150, 150, (2016, 672), 16, 0.0),
    "ade20k847": (847, 847, (2016, 672), 16, 0.0),
    "context459": (459, 459, (2016, 672), 16, 0.0),
}


def test_the_bundled_data_sets_are_the_published_ones():
    assert set(dataset_names()) == set(PUBLISHED)
    for name, (classes, texts, rescale, grid, threshold) in PUBLISHED.items():
        data = load_dataset(name)
        assert len(data.names) == classes
        assert len(data.classes) + len(data.background) == texts
        assert (data.rescale, data.points_per_side) == (rescale, grid)
        assert (data.threshold, data.global_views) == (threshold, 1 + (name == "cityscapes"))
        assert data.source


@pytest.mark.parametrize("name", ["clip", "siglip2", "pe", "demo"])
def test_a_profile_takes_the_published_variant(name):
    profile = semantic.adapt(load_profile(name), load_dataset("cityscapes"))
    assert profile.encoder.rescale == (2688, 1344)
    assert profile.encoder.global_views == 2
    assert profile.proposals.points_per_side == 36
    assert profile.proposals.mask_size == "camera"
    assert not profile.encoder.normalise_values
    assert not profile.encoder.last_block_mlp


def taught(profile, dataset, root, samples):
    """A model that sees the true regions, but takes the second class of a picture for its first.

    The last rows lie in no region; there CLIP sees the data set's last class.
    """
    model = Oracle(semantic.adapt(profile, dataset))
    dense = profile.encoder.family == "clip"
    phrasings = {name: name for name in dataset.names}
    if dataset.background:
        phrasings["background"] = dataset.background[-1]
    for name in samples:
        rgb = read_rgb(root / dataset.layout.image.format(name))
        truth = read_label(root / dataset.layout.label.format(name)) - dataset.label_offset
        truth[:4] = 0
        classes = np.unique(truth)
        confused = {classes[1]: classes[0]} if len(classes) > 1 else {}
        regions = []
        for index in classes:
            mask = truth == index
            mask[-6:] = False
            regions.append((mask, phrasings[dataset.names[confused.get(index, index)]]))
        model.teach(rgb, regions, phrasings[dataset.names[-1]] if dense else None)
    return model


def expected(dataset, root, samples, uncovered):
    """Truth and prediction of all counted pixels, worked out pixel by pixel."""
    pairs = []
    for name in samples:
        values = read_label(root / dataset.layout.label.format(name))
        truth = values - dataset.label_offset
        seen = truth.copy()
        seen[:4] = 0
        classes = np.unique(seen)
        for y, x in np.ndindex(*values.shape):
            if values[y, x] in dataset.ignore:
                continue
            predicted = (
                classes[0] if len(classes) > 1 and truth[y, x] == classes[1] else truth[y, x]
            )
            if y >= len(values) - 6:
                predicted = uncovered
            pairs.append((truth[y, x], predicted))
    return np.array(pairs)


OTHER_FAMILY = [(name, "siglip2") for name in ("voc21", "voc20", "cityscapes")]


@pytest.mark.parametrize(
    ("name", "family"), [*((name, "clip") for name in PUBLISHED), *OTHER_FAMILY]
)
def test_every_layout_end_to_end(name, family, clip_profile, tmp_path):
    dataset = load_dataset(name)
    names = write_semantic(dataset, tmp_path)
    profile = clip_profile if family == "clip" else load_profile("demo")
    model = taught(profile, dataset, tmp_path, names)
    task = semantic.Semantic(model, dataset, tmp_path, semantic.list_samples(dataset, tmp_path))
    assert task.samples == names
    records = [task.measure(index) for index in range(len(names))]
    uncovered = len(dataset.names) - 1 if family == "clip" else 0
    if family != "clip" and dataset.threshold > 1 / len(dataset.names):
        uncovered = 0  # below the threshold, as the first class is background
    truth, predicted = expected(dataset, tmp_path, names, uncovered).T
    summary = semantic.summarise(task.settings, records)
    assert summary["pixels"] == len(truth)
    assert summary["pixel_accuracy"] == pytest.approx((truth == predicted).mean())
    ious = []
    for index, entry in enumerate(summary["classes"]):
        both = ((truth == index) & (predicted == index)).sum()
        either = ((truth == index) | (predicted == index)).sum()
        assert entry["name"] == dataset.names[index]
        assert entry["iou"] == (pytest.approx(both / either) if either else None)
        ious += [both / either] if either else []
    assert summary["miou"] == pytest.approx(np.mean(ious))
    assert f"{100 * np.mean(ious):.2f}" in semantic.markdown(task.settings, summary)


def test_measures_of_a_matrix_worked_out_by_hand():
    # Class a: 3 of 4 pixels right; b: 1 of 2, the other without a label; c: not there, once said.
    truth = np.array([0, 0, 0, 0, 1, 1, -1])
    predicted = np.array([0, 0, 0, 2, 1, 4, 3])
    counts = count_pairs(truth, predicted, 4)
    assert sorted(counts) == [[0, 0, 3], [0, 2, 1], [1, 1, 1], [1, 4, 1]]
    found = measures(confusion([counts, counts], 4), list("abcd"))
    assert [entry["iou"] for entry in found["classes"]] == [3 / 4, 1 / 2, 0.0, None]
    assert found["miou"] == pytest.approx((0.75 + 0.5 + 0) / 3)
    assert found["pixel_accuracy"] == pytest.approx(4 / 6)
    assert found["mean_accuracy"] == pytest.approx((0.75 + 0.5) / 2)
    assert found["pixels"] == 12


def test_nothing_counted_has_no_measures():
    found = measures(confusion([], 2), ["a", "b"])
    assert (found["miou"], found["pixel_accuracy"], found["pixels"]) == (None, None, 0)


@pytest.fixture
def voc(clip_profile, tmp_path):
    """A data set of two pictures, and the task on it."""
    dataset = load_dataset("voc20")
    names = write_semantic(dataset, tmp_path)
    return semantic.Semantic(
        taught(clip_profile, dataset, tmp_path, names), dataset, tmp_path, names
    )


def files(task):
    name, layout = task.samples[0], task.dataset.layout
    return task.root / layout.image.format(name), task.root / layout.label.format(name)


def test_a_missing_file_is_named(voc):
    for path in files(voc):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(BadData, match=path.name):
            voc.measure(0)
        path.write_bytes(content)


def test_a_damaged_file_is_named(voc):
    for path in files(voc):
        content = path.read_bytes()
        for damaged in (b"", content[: len(content) // 2], b"no picture"):
            path.write_bytes(damaged)
            with pytest.raises(BadData, match=path.name):
                voc.measure(0)
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.ones((48, 95)), "95×48 px, but .* is 96×48"),
        (np.full((48, 96), 21), "the value 21"),
        (np.full((48, 96), 254), "the value 254"),
    ],
)
def test_a_label_file_that_does_not_fit(voc, values, said):
    path = files(voc)[1]
    write_labels(path, values)
    with pytest.raises(BadData, match=said) as error:
        voc.measure(0)
    assert path.name in str(error.value)


def test_a_coloured_picture_is_no_label_map(voc):
    image, labels = files(voc)
    labels.write_bytes(image.read_bytes())
    with pytest.raises(BadData, match=r"\.png is not a label map"):
        voc.measure(0)


def test_a_data_set_that_is_not_there(tmp_path):
    for name in ("voc21", "cityscapes", "context459"):
        with pytest.raises(BadData):
            semantic.list_samples(load_dataset(name), tmp_path)
    with pytest.raises(BadData, match="nowhere"):
        semantic.list_samples(load_dataset("ade20k"), tmp_path / "nowhere")
    with pytest.raises(BadData, match="ade20k"):
        load_dataset("imagenet")


OWN = """
title: Two things
source: ours
layout: {samples: images, image: "pictures/{}.png", label: "labels/{}.png"}
label_offset: 0
ignore: [255]
rescale: [128, 128]
points_per_side: 4
background: [wall]
classes: [[mug, cup], bowl]
"""


def test_a_data_set_of_ones_own(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    data = load_dataset(str(path))
    assert data.names == ["background", "mug", "bowl"]
    assert data.classes == (("mug", "cup"), "bowl")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"pictures/{}.png"', "pictures/all.png", "pictures/all.png"),
        ("[[mug, cup], bowl]", "[]", "classes"),
        ("points_per_side: 4", "points: 4", "points"),
        ("ignore: [255]", "ignore: [none]", "ignore"),
        ("ignore: [255]", "threshold: 2\nignore: [255]", "threshold"),
        ("title: Two things", "title: [", "own.yaml"),
    ],
)
def test_a_malformed_data_set_is_named(tmp_path, old, new, said):
    path = tmp_path / "own.yaml"
    path.write_text(OWN.replace(old, new))
    with pytest.raises(BadData, match=said) as error:
        load_dataset(str(path))
    assert "own.yaml" in str(error.value)


def test_the_writer_marks_what_is_not_counted():
    data = load_dataset("ade20k")
    values = semantic_values(data, np.zeros((8, 3), np.uint8))
    assert values[:4, 0].tolist() == [0, 255, 0, 255]
