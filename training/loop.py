"""The training loop the models share: warm-up, constant rate, linear decay, exact resume."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import torch
from numpy.random import Generator, default_rng
from safetensors.torch import save_file
from torch import Tensor, distributed, nn

WARMUP, LOG_EVERY, SAVE_EVERY = 150, 20, 100

Step = Callable[[int, Generator], tuple[Tensor, dict[str, float]]]


def arguments(
    description: str, config: str, steps: int, decay: int, lr: float
) -> argparse.Namespace:
    """Read the command line of a training from nothing."""
    command = parser(description, config, steps, decay, lr)
    command.add_argument("--scenes", type=Path, required=True, help="made by training.scenes")
    return parse(command)


def parser(
    description: str, config: str, steps: int, decay: int, lr: float
) -> argparse.ArgumentParser:
    """The options that all trainings share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="resumes what it finds there")
    parser.add_argument(
        "--config", type=Path, default=Path(str(files("textregion_ros.models.demo") / config))
    )
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--decay", type=int, default=decay, help="last steps, rate falling to 0")
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


def parse(command: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line, and set torch's seed and threads by it."""
    args = command.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    return args


def run(trainer: nn.Module, kept: nn.Module, step_loss: Step, args: argparse.Namespace) -> None:
    """Train until `args.steps`; the weights of `kept` go to model.safetensors as float16.

    A run that was cut off goes on from its last checkpoint just as if it had not been, and may
    be given other `--steps` as long as its decay has not begun. Under torchrun, processes average
    their gradients; each should draw other pictures, as by `rank()`.
    """
    args.out.mkdir(parents=True, exist_ok=True)
    optimizer = _optimizer(trainer, args.lr)
    rng, first = default_rng(args.seed), 0
    state = args.out / "state.pt"
    if state.exists():
        first = _restore(state, trainer, optimizer, rng)
    start = time.monotonic()
    with (args.out / "log.csv").open("a") as log:
        for step in range(first, args.steps):
            rate = min(1, (step + 1) / WARMUP, (args.steps - step) / max(args.decay, 1))
            for group in optimizer.param_groups:
                group["lr"] = args.lr * rate
            loss, figures = step_loss(step, rng)
            optimizer.zero_grad()
            loss.backward()
            _average_gradients(trainer)
            nn.utils.clip_grad_norm_(trainer.parameters(), 1.0)
            optimizer.step()
            if rank():
                continue
            if step % LOG_EVERY == 0:
                row = ",".join(f"{name}={value:.4f}" for name, value in figures.items())
                print(f"{step},{time.monotonic() - start:.0f}s,{row}", file=log, flush=True)
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == args.steps:
                _save(state, trainer, optimizer, rng, step + 1)
                save_file(_half(kept), args.out / "model.safetensors")


def rank() -> int:
    """This process's number among those that torchrun started; 0 without it."""
    return int(os.environ.get("RANK", 0))


def _average_gradients(trainer: nn.Module) -> None:
    if "WORLD_SIZE" not in os.environ:
        return
    if not distributed.is_initialized():
        distributed.init_process_group("gloo")
    gradients = [p.grad for p in trainer.parameters() if p.grad is not None]
    together = nn.utils.parameters_to_vector(gradients)
    distributed.all_reduce(together)
    nn.utils.vector_to_parameters(together / distributed.get_world_size(), gradients)


def _half(model: nn.Module) -> dict[str, Tensor]:
    """The weights as float16; counters stay what they are."""
    return {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }


def _optimizer(trainer: nn.Module, lr: float) -> torch.optim.Optimizer:
    matrices = [p for p in trainer.parameters() if p.ndim >= 2]
    others = [p for p in trainer.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": 0.05},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98))


def _save(
    path: Path, trainer: nn.Module, optimizer: torch.optim.Optimizer, rng: Generator, step: int
) -> None:
    state = {
        "trainer": trainer.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": json.dumps(rng.bit_generator.state),
        "torch_rng": torch.get_rng_state(),
        "step": step,
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _restore(
    path: Path, trainer: nn.Module, optimizer: torch.optim.Optimizer, rng: Generator
) -> int:
    state = torch.load(path, weights_only=True)
    trainer.load_state_dict(state["trainer"])
    optimizer.load_state_dict(state["optimizer"])
    rng.bit_generator.state = json.loads(state["rng"])
    torch.set_rng_state(state["torch_rng"])
    return state["step"]
