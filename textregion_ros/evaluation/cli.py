"""The commands `textregion evaluate …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markdown import Markdown

from textregion_ros.app.terminal import ProfileName, Sam2Size, console, one_line_errors
from textregion_ros.evaluation import reasoning, referring, semantic
from textregion_ros.evaluation.expressions import load_pictures
from textregion_ros.evaluation.protocol import load_dataset
from textregion_ros.evaluation.report import model_settings, write_results
from textregion_ros.evaluation.run import Header, Shard, execute, merge
from textregion_ros.regions import TextRegion, load_profile

app = typer.Typer(
    help="Measure a profile on the paper's three tasks, as published.", no_args_is_help=True
)

Root = Annotated[Path, typer.Option(help="The data set's folder, in its own layout.")]
Out = Annotated[Path, typer.Option(help="Folder for the results; a run in it is gone on with.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1…")]
Part = Annotated[str, typer.Option("--shard", help="Only part i of n, as i/n; see merge.")]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Count samples that cannot be read, and go on.")
]


@app.command("semantic")
def evaluate_semantic(
    root: Root,
    dataset: Annotated[str, typer.Option(help="A bundled data set or a .yaml file.")],
    out: Out,
    profile: ProfileName = "clip",
    sam2: Sam2Size = None,
    device: Device = "auto",
    shard: Part = "1/1",
    keep_going: KeepGoing = False,
) -> None:
    """Label every pixel of a data set's pictures: mIoU, IoU of each class, pixel accuracy."""
    with one_line_errors():
        part, data = Shard.parse(shard), load_dataset(dataset)
        adapted = semantic.adapt(load_profile(profile, sam2), data)
        samples = semantic.list_samples(data, root)
        model = TextRegion.from_profile(adapted, device)
        run(semantic.Semantic(model, data, root, samples), out, part, keep_going)


@app.command("referring")
def evaluate_referring(
    root: Root,
    dataset: Annotated[Literal["refcoco", "refcoco+", "refcocog"], typer.Option()],
    split: Annotated[str, typer.Option(help="val, testA, testB; refcocog: val, test.")],
    out: Out,
    images: Annotated[
        Path | None, typer.Option(help="COCO's train2014; else looked for about the root.")
    ] = None,
    detections: Annotated[
        Path | None, typer.Option(help="A detector's boxes; else DATASET_dets_dict.json.")
    ] = None,
    split_by: Annotated[
        str | None, typer.Option(help="Whose split of REFER: unc, umd, google.")
    ] = None,
    profile: ProfileName = "clip",
    sam2: Sam2Size = None,
    device: Device = "auto",
    shard: Part = "1/1",
    keep_going: KeepGoing = False,
) -> None:
    """Find what sentences mean: accuracy at IoU 0.5, plain and snapped to detected boxes."""
    with one_line_errors():
        part = Shard.parse(shard)
        pictures, detected = load_pictures(root, dataset, split, images, detections, split_by)
        if not detected:
            console.print("No detections: nothing is snapped to, name them by --detections.")
        adapted = referring.adapt(load_profile(profile, sam2))
        model = TextRegion.from_profile(adapted, device)
        title = f"{dataset} {split}"
        run(referring.Referring(model, title, pictures, detected), out, part, keep_going)


@app.command("reasoning")
def evaluate_reasoning(
    root: Root,
    out: Out,
    split: Annotated[str, typer.Option(help="val or test.")] = "test",
    answers: Annotated[
        Path | None, typer.Option(help="Folder of a language model's answers, a .json for each.")
    ] = None,
    profile: ProfileName = "clip",
    sam2: Sam2Size = None,
    device: Device = "auto",
    shard: Part = "1/1",
    keep_going: KeepGoing = False,
) -> None:
    """Find what questions mean on ReasonSeg: gIoU and cIoU, for short and long questions."""
    with one_line_errors():
        part = Shard.parse(shard)
        adapted = reasoning.adapt(load_profile(profile, sam2))
        folder, samples = reasoning.list_questions(root, split)
        model = TextRegion.from_profile(adapted, device)
        title = f"ReasonSeg {split}"
        run(reasoning.Reasoning(model, title, folder, samples, answers), out, part, keep_going)


@app.command("merge")
def merge_parts(
    parts: Annotated[list[Path], typer.Argument(help="The --out folders of all shards.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
) -> None:
    """Results of shards, the same to the last bit as of one run."""
    with one_line_errors():
        header, records = merge(parts)
        out.mkdir(parents=True, exist_ok=True)
        console.print(Markdown(write_results(header, records, out)))


def run(
    task: semantic.Semantic | referring.Referring | reasoning.Reasoning,
    out: Path,
    shard: Shard,
    keep_going: bool,
) -> None:
    """Measure what `out` lacks; write the results, unless this is only a part."""
    settings = {**task.settings, "model": model_settings(task.model)}
    header = Header.of(settings, task.samples, shard)
    records = execute(header, task.samples, task.measure, out, keep_going)
    skipped = [record["skipped"] for record in records if "skipped" in record]
    if shard.count == 1:
        console.print(Markdown(write_results(header, records, out)))
        console.print(f"Results: {out / 'results.json'}, {out / 'results.md'}", soft_wrap=True)
    else:
        console.print(
            f"Shard {shard.number}/{shard.count} is in {out}: see textregion evaluate merge"
        )
    for message in skipped[:5]:
        console.print(f"skipped: {message}", soft_wrap=True, markup=False)
    if len(skipped) > 5:
        console.print(f"… and {len(skipped) - 5} more, all in {out / 'records.jsonl'}")
