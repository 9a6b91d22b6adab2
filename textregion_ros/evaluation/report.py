"""A whole run's records into results.json and results.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import textregion_ros
from textregion_ros.evaluation import reasoning, referring, semantic
from textregion_ros.evaluation.run import Header, Record, write_whole
from textregion_ros.evaluation.tables import table
from textregion_ros.regions import Profile, TextRegion, checkpoints

TASKS = {"semantic": semantic, "referring": referring, "reasoning": reasoning}
ENCODER_KEYS = (
    "crop_size",
    "rescale",
    "resize_method",
    "global_views",
    "remove_global_patch",
    "global_patch_threshold",
    "normalise_values",
    "last_block_mlp",
)


def model_settings(model: TextRegion) -> dict[str, Any]:
    """What decides a result on the model's side; results of equal settings can be merged."""
    profile = model.profile
    return {
        "version": textregion_ros.__version__,
        "profile": profile.name,
        "encoder": model.identity,
        **_sam2_settings(profile),
        "device": model.device.type,
        "templates": profile.templates,
        **asdict(profile.proposals),
        **{key: getattr(profile.encoder, key) for key in ENCODER_KEYS},
    }


def _sam2_settings(profile: Profile) -> dict[str, Any]:
    if profile.sam2 is None:
        return {}
    weights = checkpoints.locate(profile.sam2.model.checkpoint, profile.fetch_command)
    return {
        "sam2": f"{profile.sam2.use}@{checkpoints.sha256(weights)[:16]}",
        "sam2_precision": profile.sam2.cuda_precision,
    }


def write_results(header: Header, records: Sequence[Record], folder: Path) -> str:
    """Write results.json and results.md of a whole run; the Markdown is returned."""
    task = TASKS[header.settings["task"]]
    records = sorted(records, key=lambda record: record["index"])
    measured = [record for record in records if "skipped" not in record]
    skipped = {record["name"]: record["skipped"] for record in records if "skipped" in record}
    summary = task.summarise(header.settings, measured)
    results = {
        "summary": summary,
        "samples": len(measured),
        "skipped": skipped,
        "settings": header.settings,
    }
    model = [[key, json.dumps(value)] for key, value in header.settings["model"].items()]
    text = (
        f"# {header.settings['dataset']}\n\n{task.markdown(header.settings, summary)}\n"
        f"Shares in per cent, of {len(measured)} samples; {len(skipped)} skipped.\n\n"
        f"{table(['model', ''], model)}"
    )
    write_whole(folder / "results.json", json.dumps(results, indent=1))
    write_whole(folder / "results.md", text)
    return text
