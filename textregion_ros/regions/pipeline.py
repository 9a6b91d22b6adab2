"""TextRegion: an image into region tokens once, and any number of sentences asked of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Literal

import numpy as np
import torch

from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.errors import BadImage, BadQuery
from textregion_ros.core.query import Query
from textregion_ros.core.results import UNNAMED, Grounding, ImageHeader
from textregion_ros.core.scene import EncodedFrame, Observation, Scene, Space
from textregion_ros.language import phrases, read, whole
from textregion_ros.regions import grounding
from textregion_ros.regions.calibration import sigmoid
from textregion_ros.regions.compiling import compiled_parts
from textregion_ros.regions.devices import choose_device
from textregion_ros.regions.encoders import FAMILIES, Encoder
from textregion_ros.regions.encoders.views import check_image
from textregion_ros.regions.extraction import PreparedImage, encode_masks, prepare
from textregion_ros.regions.labelling import Vocabulary, label_map
from textregion_ros.regions.profile import load_profile
from textregion_ros.regions.proposers import SOURCES, Given, Proposer
from textregion_ros.regions.proposers.given import check_masks
from textregion_ros.regions.proposers.prompts import peaks
from textregion_ros.regions.referring import refer
from textregion_ros.regions.settings import Profile
from textregion_ros.regions.stopwatch import Stopwatch
from textregion_ros.space import space_of


class TextRegion:
    """Zero-shot region grounding with frozen models (TextRegion, arXiv 2505.23769).

    Not for use from several threads at once.

    Attributes:
        profile: The constants.
        proposer: Gives masks.
        encoder: Gives tokens, and vectors of texts.
    """

    def __init__(self, profile: Profile, proposer: Proposer, encoder: Encoder) -> None:
        """Join built models. Most callers want `from_profile`.

        Args:
            profile: The constants.
            proposer: Gives masks; on the encoder's device.
            encoder: Gives tokens, and vectors of texts.
        """
        self.profile = profile
        self.proposer = proposer
        self.encoder = encoder
        if profile.negatives:
            encoder.text(profile.negatives)

    @classmethod
    def from_profile(
        cls,
        name: str | Profile,
        device: str = "auto",
        sam2: str | None = None,
        threads: int = 0,
    ) -> TextRegion:
        """Load the models of a profile. Downloads nothing.

        Args:
            name: A bundled profile by name, a profile file by path, or a profile made in code.
            device: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1", …
            sam2: A size of SAM 2 that the profile offers, such as "tiny".
            threads: CPU threads of torch, for the whole process; 0 leaves them as they are.

        Raises:
            UnknownProfile: There is no such profile or size.
            BadProfile: The profile has a wrong value, or contradicts its models.
            CheckpointMissing, CheckpointAltered: A file is not there, or not the right one.
            MissingExtra: An optional Python package is not installed.
            TextRegionError: The device cannot be used here.
        """
        profile = load_profile(name, sam2) if isinstance(name, str) else name
        place = choose_device(device)
        if threads:
            torch.set_num_threads(threads)
        proposer = SOURCES[profile.proposals.source](profile, place)
        return cls(profile, proposer, FAMILIES[profile.encoder.family](profile, place))

    def compile(self, image_size: tuple[int, int] = (480, 640)) -> float | None:
        """Compile the networks and warm them up; takes minutes. Answers change by rounding.

        Args:
            image_size: (H, W) of the camera images, px. Images of other sizes are compiled for
                when they come.

        Returns:
            The seconds that it took; None where torch.compile cannot be used, which one warning in
            the log tells.
        """
        blank = np.zeros((*image_size, 3), np.uint8)

        def warm_up(proposer: Proposer, encoder: Encoder) -> object:
            return TextRegion(self.profile, proposer, encoder).encode(blank)

        done = compiled_parts(self.proposer, self.encoder, warm_up)
        if done is None:
            return None
        (self.proposer, self.encoder), took = done
        return took

    @property
    def device(self) -> torch.device:
        """Where the networks run."""
        return self.encoder.device

    @property
    def identity(self) -> str:
        """Names the encoder; scenes of another identity are refused."""
        return self.encoder.identity

    @torch.inference_mode()
    def encode(
        self,
        rgb: np.ndarray,
        *,
        depth: np.ndarray | None = None,
        intrinsics: Intrinsics | None = None,
        masks: np.ndarray | None = None,
        dense: bool = False,
        header: ImageHeader = UNNAMED,
    ) -> Scene:
        """Find the regions of an image, each with its token.

        Args:
            rgb: uint8 H×W×3.
            depth: float32 H×W, m, NaN where it is missing; aligned to the image.
            intrinsics: The camera of both.
            masks: bool K×H×W, or boxes int K×4, x y w h px, from any detector or segmenter: region
                k is the k-th of them. None to look for regions as the profile says.
            dense: Also keep what single patches say, for `label` where no region lies; some MB.
            header: Names the image.

        Returns:
            The scene; one without regions has length 0.

        Raises:
            BadImage: The image, depth or intrinsics cannot be used.
            BadQuery: The masks cannot be used, or the encoder has no dense features.
        """
        observation, space = self._observe(rgb, depth, intrinsics, header, dense)
        proposer = self.proposer
        if masks is not None:
            proposer = Given(self.device, check_masks(masks, observation.image_size))
        watch = Stopwatch(self.device)
        image = prepare(rgb, self.profile, proposer, self.encoder, dense, watch)
        return Scene(observation, self._fill(image, proposer, watch), space)

    @torch.inference_mode()
    def encode_for(
        self,
        rgb: np.ndarray,
        texts: Sequence[str],
        negatives: Sequence[str] = (),
        *,
        depth: np.ndarray | None = None,
        intrinsics: Intrinsics | None = None,
        dense: bool = False,
        header: ImageHeader = UNNAMED,
    ) -> Scene:
        """Find only the regions where single patches say `texts`: faster, for a first question.

        Masks are asked for at `proposals.guided_points` points for each text instead of all over
        the image. Another text may have no region in such a scene; `complete` fills it in.

        Args:
            rgb: uint8 H×W×3.
            texts: What will be asked.
            negatives: As they will be asked with.
            depth: As for `encode`.
            intrinsics: As for `encode`.
            dense: As for `encode`.
            header: As for `encode`.

        Returns:
            The scene; `encoded.complete` is False.

        Raises:
            BadText: A text cannot be used.
            BadImage, BadQuery: As for `encode`.
        """
        texts, against = self._check_texts(texts, negatives)
        texts = list(dict.fromkeys(chain(*map(phrases, texts))))
        observation, space = self._observe(rgb, depth, intrinsics, header, dense)
        watch = Stopwatch(self.device)
        image = prepare(rgb, self.profile, self.proposer, self.encoder, dense, watch)
        return Scene(observation, self._look(image, texts, against, watch), space)

    @torch.inference_mode()
    def look_for(self, scene: Scene, texts: Sequence[str], negatives: Sequence[str] = ()) -> Scene:
        """Do as `encode_for` with the image of an incomplete scene, its networks not run again.

        Args:
            scene: Of `encode_for`. A complete one is returned as it is.
            texts: What will be asked.
            negatives: As they will be asked with.

        Raises:
            BadText: A text cannot be used.
            BadQuery: The scene is of another encoder.
        """
        texts, against = self._check_texts(texts, negatives)
        texts = list(dict.fromkeys(chain(*map(phrases, texts))))
        image = self._rest_of(scene)
        if image is None:
            return scene
        encoded = self._look(image, texts, against, Stopwatch(self.device))
        return Scene(scene.observation, encoded, scene.space)

    @torch.inference_mode()
    def complete(self, scene: Scene) -> Scene:
        """Return the scene that `encode` would have given, the image's networks not run again.

        Raises:
            BadQuery: The scene is of another encoder.
        """
        image = self._rest_of(scene)
        if image is None:
            return scene
        encoded = self._fill(image, self.proposer, Stopwatch(self.device))
        return Scene(scene.observation, encoded, scene.space)

    @torch.inference_mode()
    def ground(
        self,
        scene: Scene,
        texts: Sequence[str],
        negatives: Sequence[str] = (),
        threshold: float | None = None,
        top_k: int = 1,
        language: bool = True,
    ) -> list[Grounding]:
        """Find each text in the scene.

        Args:
            scene: Of this model.
            texts: What to look for.
            negatives: What each text must beat, besides the profile's own. A text is never its own
                negative.
            threshold: Least score that is found; None for the profile's, 0 to always get the best
                region. Of a text that is read it is the noun's score that must reach it.
            top_k: Most regions for each text; 0 for all. Near-duplicates of a better region are
                left out. A text that says how many, such as "both mugs", has as many, and an
                ambiguous one all that fit as well.
            language: Read texts that say more than a name, such as "the mug left of the bowl"; see
                docs/language.md. Else they are asked as they stand.

        Returns:
            An answer for each text, in the order asked.

        Raises:
            BadText: A text cannot be used.
            BadQuery: An option is out of range, or the scene is of another encoder.
        """
        threshold = self.profile.threshold if threshold is None else threshold
        Query((), threshold=threshold, top_k=top_k).check_standing()
        self._check_scene(scene)
        texts, against = self._check_texts(texts, negatives)
        readings = [read(text) if language else whole(text) for text in texts]
        asked = [
            (text,) if reading.plain else reading.noun_phrases()
            for text, reading in zip(texts, readings, strict=True)
        ]
        phrases = list(dict.fromkeys(chain(*asked)))
        scores = self._scores_of(scene, phrases, against) if len(scene) else {}
        answers = []
        for text, reading, names in zip(texts, readings, asked, strict=True):
            unknown = tuple(dict.fromkeys(chain(*map(self.encoder.text.unknown, names))))
            if unknown or not len(scene):
                answers.append(grounding.no_answer(scene, text, unknown))
            elif reading.plain:
                answers.append(grounding.answer(scene, text, scores[text], threshold, top_k))
            else:
                answers.append(refer(scene, text, reading, scores.__getitem__, threshold, top_k))
        return answers

    def _scores_of(
        self, scene: Scene, phrases: list[str], against: list[str]
    ) -> dict[str, np.ndarray]:
        """Return the score of each region for each phrase, float32 [R]."""
        scores = self.scores(scene, self._logits(scene, phrases, against))
        return dict(zip(phrases, scores, strict=True))

    @torch.inference_mode()
    def logits(
        self, scene: Scene, texts: Sequence[str], negatives: Sequence[str] = ()
    ) -> np.ndarray:
        """Return how much better each text describes each region than any negative does.

        Args:
            scene: Of this model.
            texts: What to look for, each as it stands.
            negatives: As for `ground`.

        Returns:
            float32 Q×R, of any size; `scores` makes probabilities of them.

        Raises:
            BadText: A text cannot be used.
            BadQuery: The scene is of another encoder.
        """
        self._check_scene(scene)
        return self._logits(scene, *self._check_texts(texts, negatives))

    def _logits(self, scene: Scene, texts: list[str], against: list[str]) -> np.ndarray:
        vectors = torch.from_numpy(self.encoder.text([*texts, *against]))
        # By torch: beside its threads numpy took 8 ms for 1000 regions and one text, this 0.7.
        cosines = (torch.from_numpy(scene.tokens) @ vectors.T).numpy()
        rivals = cosines[:, len(texts) :]
        scale, bias = self.encoder.score_scale, self.encoder.score_bias
        rows = [
            grounding.logits(cosine, rivals[:, grounding.others(text, against)], scale, bias)
            for text, cosine in zip(texts, cosines.T, strict=False)
        ]
        return np.array(rows, np.float32).reshape(len(texts), len(scene))

    def scores(self, scene: Scene, logits: np.ndarray) -> np.ndarray:
        """Return the scores float32 Q×R in 0..1 of logits Q×R.

        The profile's calibration makes them; without one they are the logits' sigmoid.
        """
        calibration = self.profile.calibration
        if calibration is None:
            return sigmoid(logits)
        rows = [calibration.scores(row, scene.encoded.overlaps) for row in logits]
        return np.array(rows, np.float32).reshape(logits.shape)

    @torch.inference_mode()
    def label(
        self,
        scene: Scene,
        names: Sequence[str | Sequence[str]],
        background: Sequence[str] = (),
        threshold: float = 0.0,
        uncovered: Literal["unknown", "first", "dense"] = "unknown",
        size: tuple[int, int] | None = None,
    ) -> np.ndarray:
        """Label every pixel with the best of some names.

        Args:
            scene: Of this model.
            names: Each a text, or several phrasings of one class, of which the best counts.
            background: Texts that the names compete with; where one wins, the label is 0.
            threshold: Where the softmax of the best text over all texts is less, the label is 0.
            uncovered: The label of a pixel in no region: "unknown" is 0. "dense" is what its own
                patch says, for scenes encoded with dense=True. "first" is the first text, the
                background's if there is one, as in the published evaluation of encoders without
                dense features.
            size: (H, W) of the labels; None for the image's.

        Returns:
            int16 H×W: k for the k-th name, 0 for none of them.

        Raises:
            BadText: A text cannot be used.
            BadQuery: An option is out of range, or the scene cannot be asked in this way.
        """
        self._check_scene(scene)
        Query((), threshold=threshold).check_standing()
        frame = scene.encoded
        if uncovered == "dense" and frame.dense is None:
            raise BadQuery("dense labels need a scene encoded with dense=True")
        vocabulary = Vocabulary.of(names, background)
        vectors = torch.from_numpy(self.encoder.text(vocabulary.texts)).to(self.device).T
        cosines = torch.from_numpy(frame.tokens).to(self.device) @ vectors
        logits = self.encoder.logit_scale * cosines + self.encoder.logit_bias
        dense = None
        if uncovered == "dense":
            dense = torch.from_numpy(frame.dense).to(self.device) @ vectors
        return label_map(frame, vocabulary, logits, dense, threshold, uncovered == "unknown", size)

    def embed(
        self, texts: Sequence[str], between: Callable[[], object] | None = None
    ) -> np.ndarray:
        """Return the vectors of texts, to be compared with `scene.tokens`; they are kept.

        Args:
            texts: What to encode.
            between: Called between two batches. It may raise to give up.

        Returns:
            float32 Q×D, unit length.

        Raises:
            BadText: A text cannot be used.
        """
        return self.encoder.text(texts, between=between)

    def _observe(
        self,
        rgb: np.ndarray,
        depth: np.ndarray | None,
        intrinsics: Intrinsics | None,
        header: ImageHeader,
        dense: bool,
    ) -> tuple[Observation, Space | None]:
        check_image(rgb)
        if dense and not self.encoder.has_dense:
            raise BadQuery(f"{self.identity} has no dense features")
        observation = Observation(rgb, depth, intrinsics, header)
        if depth is None:
            return observation, None
        if intrinsics is None:
            raise BadImage("depth needs the intrinsics of its camera")
        return observation, space_of(depth, intrinsics, observation.image_size)

    def _fill(self, image: PreparedImage, proposer: Proposer, watch: Stopwatch) -> EncodedFrame:
        candidates = proposer.propose(image.features, image.size, watch)
        return encode_masks(image, candidates, self.profile, self.encoder, watch)

    def _look(
        self, image: PreparedImage, texts: list[str], against: list[str], watch: Stopwatch
    ) -> EncodedFrame:
        normalise = self.profile.encoder.normalise_values
        scores = grounding.patch_scores(self.encoder, image.values, texts, against, normalise)
        places = peaks(scores, self.profile.proposals.guided_points)
        watch.lap("peaks")
        candidates = self.proposer.propose_at(image.features, places, image.size, watch)
        encoded = encode_masks(image, candidates, self.profile, self.encoder, watch)
        return replace(encoded, rest=image)

    def _check_texts(
        self, texts: Sequence[str], negatives: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """Return the texts, and all that they are scored against."""
        against = [*self.profile.negatives, *negatives]
        check = self.encoder.text.check
        return check(texts), check(against) if against else []

    def _check_scene(self, scene: Scene) -> None:
        made_by = scene.encoded.encoder
        if made_by != self.identity:
            raise BadQuery(f"the scene was encoded by {made_by}, not by {self.identity}")

    def _rest_of(self, scene: Scene) -> PreparedImage | None:
        self._check_scene(scene)
        rest = scene.encoded.rest
        if rest is None or isinstance(rest, PreparedImage):
            return rest
        raise BadQuery("the scene was made by something else than this library")
