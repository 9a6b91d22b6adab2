"""Examples of property tests: always the same few in `make test`, many others in `make fuzz`."""

from hypothesis import settings

FUZZ_FACTOR = 50


def register_profiles():
    """Make both profiles known and choose that of `make test`; pytest's option names the other."""
    settings.register_profile("test", derandomize=True, deadline=None)
    settings.register_profile("fuzz", deadline=None, max_examples=100 * FUZZ_FACTOR)
    settings.load_profile("test")


def examples(count):
    """Try a property with `count` examples, for one whose every example takes its time."""
    factor = FUZZ_FACTOR if settings.get_current_profile_name() == "fuzz" else 1
    return settings(max_examples=count * factor)
