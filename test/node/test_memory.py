import sys
from types import ModuleType

import pytest

from textregion_ros.node import memory


@pytest.mark.parametrize("name", ["torch", "torch.cuda"])
def test_memory_is_told_while_another_thread_imports_torch(monkeypatch, name):
    """The node's clock for diagnostics ended the node."""
    monkeypatch.delitem(sys.modules, "torch.cuda", raising=False)
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert memory.gpu_mib() is None
    memory.release()


def test_without_torch_there_is_no_memory_on_the_gpu(monkeypatch):
    for name in ("torch", "torch.cuda"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert memory.gpu_mib() is None
