import pytest

from textregion_ros.regions import load_profile


@pytest.fixture
def clip_profile(profile_file):
    return load_profile(str(profile_file))
