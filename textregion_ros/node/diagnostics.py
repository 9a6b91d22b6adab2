"""The node's state for /diagnostics, and the warning that no images come."""

from __future__ import annotations

import time
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from textregion_ros.node import memory
from textregion_ros.node.cameras import WARN_PERIOD, Camera
from textregion_ros.node.engine import Engine, Timings
from textregion_ros.node.jobs import Model
from textregion_ros.node.parameters import flag, number, text

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Diagnostics:
    """Publishes one status for the model and one for each camera.

    ERROR: the model could not be loaded, or the last work failed. WARN: the node is active and no
    images come, or something about them is wrong. OK: all else, also that the node is inactive.
    """

    def __init__(self, node: Node, engine: Engine) -> None:
        self._node = node
        self._engine = engine
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._before: dict[str, tuple[float, int, int]] = {}
        self._warned: dict[str, float] = {}
        self.load_error = ""
        self.model: Model | None = None
        self.compile_seconds: float | None = None

    def publish(self, topics: Mapping[str, str]) -> None:
        """Publish the state now.

        Args:
            topics: Topic of the images of each camera, by its name.
        """
        cameras = list(self._engine.cameras.values())
        statuses = [self._model_status()]
        statuses += [self._camera_status(camera, topics.get(camera.name, "")) for camera in cameras]
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _status(
        self, name: str, level: bytes, sentence: str, values: Mapping[str, object]
    ) -> DiagnosticStatus:
        return DiagnosticStatus(
            name=f"{self._node.get_fully_qualified_name()}: {name}",
            level=level,
            message=sentence,
            hardware_id=text(self._node, "profile"),
            values=[KeyValue(key=key, value=_text(entry)) for key, entry in values.items()],
        )

    def _model_status(self) -> DiagnosticStatus:
        engine = self._engine
        worker, scenes, seconds = engine.worker, engine.scenes, self.compile_seconds
        level, sentence = OK, engine.gate.why or "active"
        if self.load_error:
            level, sentence = ERROR, self.load_error
        elif worker and worker.is_failing:
            level, sentence = ERROR, f"the last work failed: {worker.last_error}"
        values = {
            "profile": text(self._node, "profile"),
            "device": str(getattr(self.model, "device", text(self._node, "device"))),
            "compiled in (s)": "not compiled" if seconds is None else seconds,
            "frames encoded": scenes.count if scenes else 0,
            "frames kept": len(scenes.kept) if scenes else 0,
            "kept (MiB)": scenes.kept.nbytes / memory.MIB if scenes else 0.0,
            "kept on the GPU (MiB)": scenes.kept.device_nbytes / memory.MIB if scenes else 0.0,
            "memory (MiB)": memory.resident_mib(),
            "GPU memory (MiB)": memory.gpu_mib(),
            "failures": worker.failures if worker else 0,
            "last error": worker.last_error if worker else self.load_error,
        }
        return self._status("model", level, sentence, values)

    def _camera_status(self, camera: Camera, topic: str) -> DiagnosticStatus:
        now = time.monotonic()
        at, images, depths = self._before.get(camera.name, (camera.started, 0, 0))
        self._before[camera.name] = (now, camera.images, camera.depths)
        seconds = max(now - at, 1e-3)
        last = self._engine.timings.get(camera.name, Timings())
        silence = self._silence(camera, topic, now)
        values = {
            "topic": topic,
            "images (Hz)": max(camera.images - images, 0) / seconds,
            "depth (Hz)": max(camera.depths - depths, 0) / seconds,
            "images": camera.images,
            "images used": camera.used,
            "images dropped while busy": camera.dropped,
            "last answer (s ago)": now - last.at if last.at else None,
            "age of its image (s)": last.age if last.at else None,
            "encode (ms)": last.encode_ms if last.at else None,
            "query (ms)": last.query_ms if last.at else None,
            **{f"{stage} (ms)": ms for stage, ms in last.stage_ms.items()},
        }
        fault = silence or camera.fault
        name = f"camera {camera.name}".rstrip()
        return self._status(name, WARN if fault else OK, fault or "images come", values)

    def _silence(self, camera: Camera, topic: str, now: float) -> str:
        """Say, and log now and then, that no images come; empty where they do."""
        seconds, limit = now - camera.last_image, number(self._node, "image_timeout")
        if not limit or seconds < limit:
            self._warned.pop(topic, None)
            return "" if camera.images else "no image has come yet"
        publishers = self._node.count_publishers(topic)
        reliability = "reliable" if flag(self._node, "reliable") else "best effort"
        why = (
            "nobody publishes there"
            if not publishers
            else f"{publishers} publish there: compare their QoS and type with `ros2 topic info -v`"
        )
        sentence = f"no image for {seconds:.0f} s on {topic} ({reliability}); {why}"
        if now >= self._warned.get(topic, 0.0):
            self._warned[topic] = now + WARN_PERIOD
            self._node.get_logger().warning(sentence)
        return sentence

    def note_compiled(self, seconds: float | None) -> None:
        """Say how long it took to compile the networks, s; None where it could not be done."""
        self.compile_seconds = seconds
        log = self._node.get_logger()
        if seconds is None:
            log.warning("compile_size is set, but the networks cannot be compiled here")
        else:
            log.info(f"the networks were compiled in {seconds:.1f} s")

    def forget(self) -> None:
        """Count from nothing again."""
        self._before.clear()
        self._warned.clear()


def _text(entry: object) -> str:
    """Return a value as diagnostics show it."""
    if entry is None:
        return "none"
    return f"{entry:.3f}" if isinstance(entry, float) else str(entry)
