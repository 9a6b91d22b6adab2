"""Times the stages of an encoding."""

from __future__ import annotations

import time

import torch


class Stopwatch:
    """Time between laps. On a GPU events in its queue take it, so that no lap waits."""

    def __init__(self, device: torch.device) -> None:
        """Start.

        Args:
            device: Where the work is done.
        """
        self._cuda = device.type == "cuda"
        self._stages: list[str] = []
        self._events: list[torch.cuda.Event] = []
        self._times: list[float] = []
        self._mark()

    def _mark(self) -> None:
        if not self._cuda:
            self._times.append(1e3 * time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._events.append(event)

    def lap(self, stage: str) -> None:
        """End the stage of this name; the next begins."""
        self._stages.append(stage)
        self._mark()

    def read(self) -> dict[str, float]:
        """Return the time of each stage, ms. Waits for the device."""
        if self._cuda:
            self._events[-1].synchronize()
            pairs = zip(self._events[:-1], self._events[1:], strict=True)
            laps = [first.elapsed_time(last) for first, last in pairs]
        else:
            times = zip(self._times[:-1], self._times[1:], strict=True)
            laps = [last - first for first, last in times]
        return dict(zip(self._stages, laps, strict=True))
