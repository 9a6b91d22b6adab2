"""SAM 2's mask decoder for many points on one image: the same weights and sums, less work.

`SAM2Base.sam_mask_decoder` copies the image's features for every prompt, adds the positional
encoding again before every projection, and makes masks that are then thrown away. Here the first
layer's image side is computed once for all prompts, positional encodings are projected once, masks
are made only for prompts that can pass the IoU filter, and pixels stay channels-last throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Attend = Callable[["ImageDecoder", Tensor], tuple[Tensor, Tensor]]


class ImageDecoder:
    """The decoder of one SAM 2, prepared for one image."""

    def __init__(self, sam2: nn.Module, features: Sequence[Tensor]) -> None:
        """Do what is done once for all prompts.

        Args:
            sam2: The whole model.
            features: Maps 1×C×h×w of the image, finest first.
        """
        model: Any = sam2
        self.decoder = model.sam_mask_decoder
        self.prompts = model.sam_prompt_encoder
        self.size = (features[-1].shape[2], features[-1].shape[3])
        self.fine = [_nested(level, self.size) for level in features[:-1]]
        dense = self.prompts.no_mask_embed.weight[0]
        self.image = features[-1].flatten(2).transpose(1, 2) + dense  # 1×N×C
        self.position = self.prompts.get_dense_pe().flatten(2).transpose(1, 2)
        self.layers = self.decoder.transformer.layers
        self.projections = [
            self._project(
                (layer.cross_attn_token_to_image.k_proj, True),
                (layer.cross_attn_token_to_image.v_proj, False),
                (layer.cross_attn_image_to_token.q_proj, True),
            )
            for layer in self.layers
        ]
        final = self.decoder.transformer.final_attn_token_to_image
        self.final = self._project((final.k_proj, True), (final.v_proj, False))

    def _project(self, *parts: tuple[nn.Linear, bool]) -> tuple[Tensor, Tensor]:
        """Join projections of image tokens into one.

        Args:
            parts: A projection each, and whether it also sees the positional encoding.

        Returns:
            The weight, and the bias of every position, 1×N×(sum of widths).
        """
        weight = torch.cat([linear.weight for linear, _ in parts])
        biases = [
            F.linear(self.position, linear.weight, linear.bias)
            if positioned
            else linear.bias.expand(1, self.position.shape[1], -1)
            for linear, positioned in parts
        ]
        return weight, torch.cat(biases, dim=2)

    def decode(
        self, points: Tensor, least_iou: float, attend: Attend | None = None
    ) -> tuple[Tensor, Tensor]:
        """Make the masks of one foreground point each.

        Args:
            points: float32 n×2, x y in pixels of SAM 2's input.
            least_iou: A point with no predicted IoU above it gets zeros for its masks.
            attend: A compiled `ImageDecoder.attend`.

        Returns:
            Mask logits float16 n×3×L×L and predicted IoU float32 n×3.
        """
        tokens, image = (attend or ImageDecoder.attend)(self, self._tokens(points))
        first = 1 if self.decoder.pred_obj_scores else 0
        ious = self.decoder.iou_prediction_head(tokens[:, first])[:, 1:].float()
        picked = (ious > least_iou).any(1).nonzero()[:, 0]
        mask_tokens = tokens[picked, first + 2 : first + 1 + self.decoder.num_mask_tokens]
        hyper = torch.stack(
            [
                network(mask_tokens[:, index])
                for index, network in enumerate(self.decoder.output_hypernetworks_mlps[1:])
            ],
            dim=1,
        )
        pixels = self._upscale(image[picked]).flatten(1, 3)
        masks = self._raster((hyper @ pixels.transpose(1, 2)).half())
        logits = masks.new_zeros(len(points), *masks.shape[1:])
        logits[picked] = masks
        return logits, ious

    def _tokens(self, points: Tensor) -> Tensor:
        labels = torch.ones(len(points), 1, dtype=torch.int32, device=points.device)
        sparse, _ = self.prompts((points[:, None], labels), None, None)
        learned = [self.decoder.iou_token.weight, self.decoder.mask_tokens.weight]
        if self.decoder.pred_obj_scores:
            learned.insert(0, self.decoder.obj_score_token.weight)
        return torch.cat([torch.cat(learned).expand(len(points), -1, -1), sparse], dim=1)

    def attend(self, start: Tensor) -> tuple[Tensor, Tensor]:
        """Run the two-way transformer: prompt tokens n×T×C to the same, and image tokens n×N×C."""
        tokens, image = start, self.image
        for layer, (weight, bias) in zip(self.layers, self.projections, strict=True):
            seen = tokens if layer.skip_first_layer_pe else tokens + start
            attended = layer.self_attn(q=seen, k=seen, v=tokens)
            tokens = layer.norm1(attended if layer.skip_first_layer_pe else tokens + attended)
            key, value, query = (F.linear(image, weight) + bias).chunk(3, dim=2)
            to_image, to_token = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
            tokens = layer.norm2(
                tokens + _read(to_image, to_image.q_proj(tokens + start), key, value)
            )
            tokens = layer.norm3(tokens + layer.mlp(tokens))
            answer = _answer(
                to_token, query, to_token.k_proj(tokens + start), to_token.v_proj(tokens)
            )
            image = layer.norm4(image + answer)
        transformer = self.decoder.transformer
        weight, bias = self.final
        key, value = (F.linear(image, weight) + bias).chunk(2, dim=2)
        final = transformer.final_attn_token_to_image
        read = _read(final, final.q_proj(tokens + start), key, value)
        return transformer.norm_final_attn(tokens + read), image

    def _upscale(self, image: Tensor) -> Tensor:
        """Enlarge image tokens n×N×C to n×N×4×4×C/8: each one's 2×2 pixels of 2×2 pixels."""
        first, norm, act, second, last_act = self.decoder.output_upscaling
        fine, coarse = self.fine if self.fine else (0.0, 0.0)
        pixels = _transposed_conv(image, first) + coarse
        pixels = act(F.layer_norm(pixels, pixels.shape[-1:], norm.weight, norm.bias, norm.eps))
        return last_act(_transposed_conv(pixels, second) + fine)

    def _raster(self, nested: Tensor) -> Tensor:
        """Put nested pixels n×k×16N in the order of masks n×k×4h×4w."""
        rows, columns = self.size
        nested = nested.unflatten(2, (rows, columns, 2, 2, 2, 2))
        # n k y x dy1 dx1 dy2 dx2 -> n k (y dy1 dy2) (x dx1 dx2)
        return nested.permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(
            *nested.shape[:2], 4 * rows, 4 * columns
        )


def _read(attention: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend with several heads to projected inputs; inputs of batch 1 serve every prompt."""
    shape = query.shape
    if len(key) == 1:  # all prompts' tokens ask the one image together
        query = query.flatten(0, 1)[None]
    heads = [
        part.unflatten(2, (attention.num_heads, -1)).transpose(1, 2) for part in (query, key, value)
    ]
    answer = F.scaled_dot_product_attention(*heads).transpose(1, 2)
    return attention.out_proj(answer.reshape(shape))


def _answer(attention: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Do the same for many queries and a few keys: as large products, queries innermost.

    Keys and values are spread over heads×tokens rows, each zero outside its own head.
    """
    width = key.shape[2] // attention.num_heads
    heads = torch.eye(attention.num_heads, dtype=key.dtype, device=key.device)
    heads = heads.repeat_interleave(width, dim=1)[:, None]
    key, value = ((part[:, None] * heads).flatten(1, 2) for part in (key * width**-0.5, value))
    scores = key @ query.transpose(1, 2)
    weights = scores.unflatten(1, (attention.num_heads, -1)).softmax(2).flatten(1, 2)
    spread = F.linear(value, attention.out_proj.weight)
    return weights.transpose(1, 2) @ spread + attention.out_proj.bias


def _transposed_conv(pixels: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
    """Convolve …×C, transposed, 2×2 with stride 2: …×4×C', the 2×2 pixels row by row."""
    weight = layer.weight.permute(2, 3, 1, 0).flatten(0, 2)
    bias = None if layer.bias is None else layer.bias.repeat(4)
    return F.linear(pixels, weight, bias).unflatten(-1, (4, -1))


def _nested(level: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a finer map 1×C×H×W in the pixel order of `_upscale`: N×4×C or N×4×4×C."""
    level = level[0].unflatten(2, (size[1], -1)).unflatten(1, (size[0], -1))  # C h a w b
    if level.shape[2] == 2:
        return level.permute(1, 3, 2, 4, 0).flatten(2, 3).flatten(0, 1)
    level = level.unflatten(4, (2, 2)).unflatten(2, (2, 2))  # C h a1 a2 w b1 b2
    return level.permute(1, 4, 2, 5, 3, 6, 0).flatten(4, 5).flatten(2, 3).flatten(0, 1)
