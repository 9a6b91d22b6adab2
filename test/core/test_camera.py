"""Where a pixel's ray goes, and where a point is seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textregion_ros.core.camera import Intrinsics


@pytest.mark.parametrize("field", ["fx", "fy", "width", "height"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_camera_that_is_not_calibrated_is_refused(field, value):
    values = {"fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0, "width": 2, "height": 2, field: value}
    with pytest.raises(ValueError, match="no camera is like this"):
        Intrinsics(**values)


@given(
    fx=st.floats(50, 2000),
    fy=st.floats(50, 2000),
    u=st.floats(0, 639),
    v=st.floats(0, 479),
    z=st.floats(0.1, 10),
)
def test_what_is_seen_at_a_pixel_projects_to_it(fx, fy, u, v, z):
    camera = Intrinsics(fx, fy, 320.0, 240.0, 640, 480)
    points = camera.points(np.array([u]), np.array([v]), np.array([z]))
    assert points.shape == (1, 3)
    assert points[0, 2] == pytest.approx(z)
    np.testing.assert_allclose(camera.pixels(points), [[u, v]], atol=1e-3)
