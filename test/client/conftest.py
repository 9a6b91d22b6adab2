"""Client and stand-in node share a process here."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def transports():
    """Plain UDP: with the TCP of LARGE_DATA, Fast DDS may wait for itself at the end of one of two
    participants of a process that speak to each other.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
        yield
