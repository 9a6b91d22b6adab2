"""TextRegion: an image into region tokens once, and any number of sentences asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from textregion_ros.regions import grounding, views
from textregion_ros.regions.calibration import sigmoid
from textregion_ros.regions.checkpoints import locate
from textregion_ros.regions.compiling import compile_models
from textregion_ros.regions.errors import BadQuery, TextRegionError
from textregion_ros.regions.extraction import Extractor, ImageFeatures, Stopwatch
from textregion_ros.regions.labelling import Vocabulary, label_map
from textregion_ros.regions.loading import Encoder, build_encoder, build_sam2
from textregion_ros.regions.profile import Profile, load_profile
from textregion_ros.regions.prompts import Proposer, peaks
from textregion_ros.regions.results import EncodedFrame, Grounding
from textregion_ros.regions.vocabulary import read_names, unknown_words

DECODER_BYTES = {"cpu": 96 << 20, "cuda": 4 << 30}  # on a CPU, what its caches like


class TextRegion:
    """Zero-shot region grounding with frozen models (TextRegion, arXiv 2505.23769).

    Not for use from several threads at once.
    """

    def __init__(self, profile: Profile, sam2: torch.nn.Module, encoder: Encoder) -> None:
        """From built models, both on the same device. Most callers want `from_profile`."""
        self.profile = profile
        self.encoder = encoder
        self.device = next(encoder.vision.parameters()).device
        budget = DECODER_BYTES.get(self.device.type, DECODER_BYTES["cpu"])
        self.proposer = Proposer(sam2, profile.proposals, budget).to(self.device)
        self._extractor = Extractor(profile, self.proposer, encoder)
        words = profile.vocabulary
        self._names = None if words is None else read_names(locate(words, profile.name))
        if profile.negatives:
            with torch.inference_mode():
                encoder.text(profile.negatives)

    @classmethod
    def from_profile(
        cls, name: str | Profile, device: str = "auto", sam2: str | None = None
    ) -> TextRegion:
        """Load a bundled profile by name, a profile YAML file by path, or a profile made in code.

        device: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1"… sam2: a size which the
        profile offers, such as "tiny". Downloads nothing. Raises UnknownProfile, BadProfile,
        CheckpointMissing, CheckpointAltered, MissingExtra, or TextRegionError for the device.
        """
        profile = load_profile(name, sam2) if isinstance(name, str) else name
        place = choose_device(device)
        built = build_sam2(profile.sam2.model, profile.name).to(place)
        encoder = build_encoder(profile, place)
        if place.type == "cuda":  # the order that the convolutions of tensor cores work in
            built = built.to(memory_format=torch.channels_last)
            encoder.vision.to(memory_format=torch.channels_last)
        return cls(profile, built, encoder)

    def compile(self, image_size: tuple[int, int] = (480, 640)) -> float | None:
        """Compile the networks for camera images of H×W, and warm them up.

        Takes minutes. Returns the seconds it took, also logged; None where torch.compile cannot be
        used, which one warning in the log tells. Images of other sizes are compiled for when they
        come. Answers change by rounding.
        """
        blank = np.zeros((*image_size, 3), np.uint8)
        return compile_models(self.proposer, self.encoder.vision, lambda: self.encode(blank))

    @property
    def identity(self) -> str:
        """Names the encoder; frames of another identity are refused."""
        return self.encoder.identity

    @torch.inference_mode()
    def encode(self, rgb: np.ndarray, dense: bool = False) -> EncodedFrame:
        """H×W×3 uint8 RGB -> the regions of the image, each with its token.

        dense: also keep what single patches say, for `label` where no region lies; some MB, and
        only CLIP has it. Raises BadImage, or BadQuery for dense of another encoder. An image
        without regions gives a frame with R = 0.
        """
        self._check_image(rgb, dense)
        watch = Stopwatch(self.device)
        return self._fill(self._extractor.features(rgb, dense, watch), watch)

    @torch.inference_mode()
    def encode_for(
        self,
        rgb: np.ndarray,
        texts: Sequence[str],
        negatives: Sequence[str] = (),
        dense: bool = False,
    ) -> EncodedFrame:
        """As `encode`, but only the regions about where single patches say `texts`.

        For the first sentence about an image: SAM2 is asked at `proposals.guided_points` points for
        each text instead of all over the image. Another text may have no region in such a frame
        (`complete` is False): `complete` fills it in. negatives: as they will be asked with.
        Raises BadImage, BadText, BadQuery.
        """
        self._check_image(rgb, dense)
        texts, against = self._check_texts(texts, negatives)
        watch = Stopwatch(self.device)
        return self._look(self._extractor.features(rgb, dense, watch), texts, against, watch)

    @torch.inference_mode()
    def look_for(
        self, frame: EncodedFrame, texts: Sequence[str], negatives: Sequence[str] = ()
    ) -> EncodedFrame:
        """As `encode_for`, of the image of an incomplete frame, its encoders not run again.

        The regions are those that the new texts speak of. Raises BadText, BadQuery.
        """
        self._check_frame(frame)
        texts, against = self._check_texts(texts, negatives)
        if frame.complete:
            return frame
        return self._look(frame.rest, texts, against, Stopwatch(self.device))

    def _look(
        self, features: ImageFeatures, texts: list[str], against: list[str], watch: Stopwatch
    ) -> EncodedFrame:
        scores = self._patch_scores(features.values, texts, against)
        places = peaks(scores, self.profile.proposals.guided_points)
        watch.lap("peaks")
        with self._extractor.sam_precision():
            prompted = self.proposer.masks_at(features.sam, places)
        watch.lap("sam_decoder")
        return replace(self._extractor.frame(features, prompted, watch), rest=features)

    @torch.inference_mode()
    def complete(self, frame: EncodedFrame) -> EncodedFrame:
        """The frame that `encode` would have given of the image, its encoders not run again."""
        self._check_frame(frame)
        return frame if frame.complete else self._fill(frame.rest, Stopwatch(self.device))

    def _fill(self, features: ImageFeatures, watch: Stopwatch) -> EncodedFrame:
        with self._extractor.sam_precision():
            prompted = self.proposer.masks(features.sam)
        watch.lap("sam_decoder")
        return self._extractor.frame(features, prompted, watch)

    def _patch_scores(self, values: Tensor, texts: list[str], against: list[str]) -> Tensor:
        """float32 Q×Ph×Pw: how much more like each text every patch is than like its negatives.

        Each patch is taken for a region of its own; the order is that of `ground`'s scores.
        """
        if self.profile.encoder.normalise_values:
            values = F.normalize(values, dim=-1)
        patches = F.normalize(self.encoder.vision.project(values.flatten(0, 1)), dim=-1).float()
        vectors = torch.from_numpy(self.encoder.text([*texts, *against])).to(self.device)
        scores, rivals = (vectors @ patches.T).split([len(texts), len(against)])
        for text, score in zip(texts, scores, strict=True):
            others = _others(text, against)
            if others.any():
                score -= rivals[torch.from_numpy(others).to(self.device)].amax(0)
        return scores.unflatten(1, values.shape[:2])

    @torch.inference_mode()
    def ground(
        self,
        frame: EncodedFrame,
        texts: Sequence[str],
        negatives: Sequence[str] = (),
        threshold: float | None = None,
        top_k: int = 1,
    ) -> list[Grounding]:
        """Find each text in the frame; answers come in the order asked.

        negatives: added to the profile's; a text is never its own negative. threshold: least score
        that counts as found, None for the profile's, 0 to always get the best region. top_k: the
        most regions per text, 0 for all; near-duplicates of a better region are left out.
        Raises BadText, BadQuery.
        """
        threshold = self.profile.threshold if threshold is None else threshold
        grounding.check_query(threshold, top_k)
        self._check_frame(frame)
        texts, against = self._check_texts(texts, negatives)
        if not len(frame.tokens):
            return [Grounding(text, False, 0.0, (), None) for text in texts]
        scores = self.scores(frame, self._logits(frame, texts, against))
        return [
            grounding.answer(frame, text, row, threshold, top_k)
            for text, row in zip(texts, scores, strict=True)
        ]

    @torch.inference_mode()
    def logits(
        self, frame: EncodedFrame, texts: Sequence[str], negatives: Sequence[str] = ()
    ) -> np.ndarray:
        """float32 Q×R: how much better each text describes each region than any negative does.

        Of any size; `scores` makes probabilities of them. Raises BadText, BadQuery.
        """
        self._check_frame(frame)
        return self._logits(frame, *self._check_texts(texts, negatives))

    def _logits(self, frame: EncodedFrame, texts: list[str], against: list[str]) -> np.ndarray:
        vectors = torch.from_numpy(self.encoder.text([*texts, *against]))
        # By torch: beside its threads numpy took 8 ms for 1000 regions and one text, this 0.7.
        cosines = (torch.from_numpy(frame.tokens) @ vectors.T).numpy()
        rivals = cosines[:, len(texts) :]
        scale, bias = self.encoder.score_scale, self.encoder.score_bias
        rows = [
            grounding.logits(cosine, rivals[:, _others(text, against)], scale, bias)
            for text, cosine in zip(texts, cosines.T, strict=False)
        ]
        return np.array(rows, np.float32).reshape(len(texts), len(frame.tokens))

    def scores(self, frame: EncodedFrame, logits: np.ndarray) -> np.ndarray:
        """float32 Q×R in 0..1 of `logits` Q×R: the profile's calibration, else their sigmoid."""
        calibration = self.profile.calibration
        if calibration is None:
            return sigmoid(logits)
        rows = [calibration.scores(row, frame.overlaps) for row in logits]
        return np.array(rows, np.float32).reshape(logits.shape)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """The words of a text that this profile's encoder was never taught, in order."""
        return unknown_words(text, self._names)

    def _check_texts(
        self, texts: Sequence[str], negatives: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """The texts, and all that they are scored against."""
        against = [*self.profile.negatives, *negatives]
        check = self.encoder.text.check
        return check(texts), check(against) if against else []

    def _check_image(self, rgb: np.ndarray, dense: bool) -> None:
        views.check_image(rgb)
        if dense and self.profile.encoder.family != "clip":
            raise BadQuery(f"{self.identity} has no dense features: only family clip has them")

    @torch.inference_mode()
    def label(
        self,
        frame: EncodedFrame,
        names: Sequence[str | Sequence[str]],
        background: Sequence[str] = (),
        threshold: float = 0.0,
        uncovered: Literal["unknown", "first", "dense"] = "unknown",
        size: tuple[int, int] | None = None,
    ) -> np.ndarray:
        """int16 H×W: for every pixel the best of `names`, k for the k-th; 0 for none of them.

        names: each a text, or several phrasings of one class, of which the best counts.
        background: texts that the names compete with; where one wins, the label is 0.
        threshold: 0..1; where the softmax of the best text over all texts is less, the label is 0.
        uncovered: the label of a pixel in no region: "unknown" is 0; "dense" is what its own patch
        says, for frames encoded with dense=True; "first" is the first text, the background's if
        there is one, as in the published evaluation of encoders without dense features.
        size: (H, W) of the map, else the camera image's.
        Raises BadText, BadQuery.
        """
        self._check_frame(frame)
        grounding.check_query(threshold, top_k=0)
        if uncovered == "dense" and frame.dense is None:
            raise BadQuery("dense labels need a frame encoded with dense=True")
        vocabulary = Vocabulary.of(names, background)
        texts = self.encoder.text.check(vocabulary.texts)
        vectors = torch.from_numpy(self.encoder.text(texts)).to(self.device).T
        logits = torch.from_numpy(frame.tokens).to(self.device) @ vectors
        if self.profile.encoder.family == "siglip2":
            logits = self.encoder.logit_scale * logits + self.encoder.logit_bias
        dense = None
        if uncovered == "dense":
            dense = torch.from_numpy(frame.dense).to(self.device) @ vectors
        return label_map(frame, vocabulary, logits, dense, threshold, uncovered == "unknown", size)

    def _check_frame(self, frame: EncodedFrame) -> None:
        if frame.encoder != self.identity:
            raise BadQuery(f"the frame was encoded by {frame.encoder}, not by {self.identity}")


def _others(text: str, against: list[str]) -> np.ndarray:
    """Bool [N]: which of the negatives are not the text itself."""
    return np.array([other.casefold() != text.casefold() for other in against], bool)


def choose_device(name: str) -> torch.device:
    """A torch device by name, or by "auto". Raises TextRegionError where it cannot be used."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TextRegionError(f"the device {name!r} cannot be used here: {error}") from error
    return device
