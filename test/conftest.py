import pytest

from textregion_ros.regions import TextRegion


@pytest.fixture(scope="session")
def demo_model():
    """The bundled models, loaded once for all tests."""
    return TextRegion.from_profile("demo", device="cpu")
