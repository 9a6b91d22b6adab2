"""numpy arrays to the flat arrays of messages."""

from __future__ import annotations

from array import array

import numpy as np


def flat_array(typecode: str, values: np.ndarray) -> array[int] | array[float]:
    """Return numbers as the flat array that rclpy takes whole, and not one by one.

    Args:
        typecode: Of the module `array`; it must be of the values' size.
        values: Of any shape.
    """
    data = array(typecode)
    data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return data
