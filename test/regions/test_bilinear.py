import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from test.support.examples import examples
from textregion_ros.regions.bilinear import make_taps, sample, sample_weights

SIDE = st.integers(1, 40)


@examples(60)
@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 2**31))
def test_sampling_everywhere_is_the_resize(h, w, to_h, to_w, seed):
    maps = torch.randn(2, h, w, generator=torch.Generator().manual_seed(seed))
    expected = F.interpolate(maps[None], (to_h, to_w), mode="bilinear", align_corners=False)[0]
    rows, columns = make_taps(h, to_h), make_taps(w, to_w)
    resized = sample(maps, rows, columns)
    torch.testing.assert_close(resized, expected, atol=1e-5, rtol=1e-5)
    part = sample(maps, rows.at(slice(to_h // 2, None)), columns.at(slice(0, 1)))
    torch.testing.assert_close(part, resized[:, to_h // 2 :, :1])


@examples(40)
@given(SIDE, SIDE, st.integers(0, 2**31))
def test_weights_give_the_sum_over_the_resized_axis(source, target, seed):
    line = torch.rand(source, generator=torch.Generator().manual_seed(seed))
    taps = make_taps(source, target)
    resized = torch.lerp(line[taps.low], line[taps.high], taps.weight)
    torch.testing.assert_close(line @ sample_weights(source, taps), resized.sum())
