import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from training.ablation import Row, interval, run, tabulate, write
from training.evaluate import read_scenes
from training.variants import WholeView, WindowViews, largest_part, make_variants, part_around_peak

SCENES = Path(__file__).parents[1] / "data" / "scenes"


class Tower:
    """A view's mean is the value of its two patches; remembers how many views it was given."""

    def values(self, stack):
        self.seen = len(stack)
        return stack.mean((1, 2, 3))[:, None, None].expand(-1, 2, 1)

    def pool(self, values, masks):
        return masks @ values

    def project(self, pooled):
        return pooled


@pytest.mark.parametrize(
    ("kind", "weight", "seen", "values"),
    [(WholeView, 1.0, 1, [1, 0, 0]), (WindowViews, 0.0, 2, [0, 2, 3])],
)
def test_an_encoder_that_sees_one_kind_of_view_runs_on_no_other(kind, weight, seen, values):
    tower = Tower()
    stack = torch.tensor([1.0, 2.0, 3.0])[:, None, None, None].expand(-1, 3, 4, 4)
    fed = kind(tower)
    assert fed.values(stack)[..., 0].tolist() == [[v, v] for v in values]
    assert tower.seen == seen
    assert fed.global_weight == weight


def test_a_picture_of_a_single_view_is_seen_by_both():
    stack = torch.ones(1, 3, 4, 4)
    assert WholeView(Tower()).values(stack).tolist() == WindowViews(Tower()).values(stack).tolist()


def test_the_part_around_the_peak():
    advantage = torch.tensor([[1.0, 0.5, -1.0, 2.0], [-1.0, -1.0, -1.0, 1.0]])
    assert part_around_peak(advantage).tolist() == [[0, 0, 0, 1], [0, 0, 0, 1]]
    assert not part_around_peak(-advantage.abs()).any()


def test_the_largest_part():
    mask = np.array([[1, 1, 0, 1], [0, 1, 0, 0]], bool)
    assert largest_part(mask).tolist() == [[1, 1, 0, 0], [0, 1, 0, 0]]
    assert not largest_part(np.zeros((2, 3), bool)).any()


def test_intervals_are_over_groups():
    same = [0.0] * 50 + [1.0] * 50
    alone = interval(same, range(100))
    assert 0.35 < alone[0] < 0.5 < alone[1] < 0.65
    low, high = interval(same, [0] * 50 + [1] * 50)
    assert (low, high) == (0.0, 1.0)
    assert interval([0.5] * 9, range(9)) == (0.5, 0.5)


def test_table_and_plot_are_files_that_agree(tmp_path):
    first = Row("region tokens", 0.5, 0.4, 0.6, 0.25, 0, 0, 0, 0.75, 0.875, 500.0, 400.0, 1.5)
    nan = math.nan
    second = Row("crops", 0.25, 0.2, 0.3, 0, -0.25, -0.3, -0.2, nan, 0.5, 900.0, 400.0, 1.25)
    page = tabulate([first, second], "demo", 3, 12)
    assert "| region tokens | 50.0 (40.0 … 60.0) | 25.0 | – | 75.0 | 0.875 | 500 | 400 |" in page
    assert "| crops | 25.0 (20.0 … 30.0) | 0.0 | -25.0 (-30.0 … -20.0) | – | 0.500 |" in page
    write([first, second], page, tmp_path / "new")
    rows = list(csv.DictReader((tmp_path / "new" / "ablation.csv").open()))
    assert [row["variant"] for row in rows] == ["region tokens", "crops"]
    assert float(rows[1]["frame_ms"]) == 900.0
    assert "region tokens" in (tmp_path / "new" / "ablation.svg").read_text()
    assert (tmp_path / "new" / "README.md").read_text() == page


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_first_variant_is_the_model_itself_and_all_are_asked_the_same(demo_model):
    scene = next(iter(read_scenes(SCENES)))
    ours = demo_model.encode(scene.rgb).encoded
    frame = make_variants(demo_model)["region tokens"].encode(scene.rgb).encoded
    assert np.array_equal(frame.tokens, ours.tokens)
    assert np.array_equal(frame.masks, ours.masks)
    rows, objects = run(demo_model, [scene])
    assert objects >= 1
    assert len(rows) == len({row.variant for row in rows}) >= 10
    dense = [row for row in rows if row.variant.startswith("dense")]
    assert [row.sam2_ms for row in dense] == [0.0, 0.0]
    assert all(row.sam2_ms > 0 for row in rows if row not in dense)
    assert all(0 <= row.right <= 1 and row.sentence_ms > 0 for row in rows)
