"""What the client costs a program that only asks."""

import json
import subprocess
import sys

PROGRAM = """
import json, sys, time
from pathlib import Path
start = time.monotonic()
import textregion_ros.client
seconds = time.monotonic() - start
# Not getrusage, which counts what this process was forked from.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) / 1024
print(json.dumps([list(sys.modules), seconds, peak]))
"""
HEAVY = {
    *("torch", "torchvision", "open_clip", "timm", "hydra", "omegaconf", "sam2", "supervision"),
    *("matplotlib", "scipy", "transformers", "huggingface_hub", "safetensors", "rosbags"),
    "textregion_ros.regions",
    "textregion_ros.space",
    "textregion_ros.app",
}


def test_the_client_loads_nothing_heavy():
    """776 MB and 8 s before; 69 MB and 0.9 s since, on a busy machine."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True
    )
    modules, _, peak = json.loads(done.stdout)
    assert "textregion_ros.client.client" in modules
    assert not HEAVY & set(modules)
    assert peak < 150.0
