"""`vit_yard`: a segment-anything model small enough to train and run on two cores.

The mask decoder and `Sam` itself are segment-anything's own, at half the width and depth.
The image encoder is a small hybrid: convolutions down to a stride of 32, two of
segment-anything's transformer blocks there, and a path that keeps fine detail for the mask
decoder. The prompt encoder is segment-anything's, and also encodes for every cell of
the embedding where it lies in the box: a decoder this small, trained on a thousand frames,
does not learn that from the encoded corners alone. It runs through `SamPredictor` as `vit_b` to
`vit_h` do.
"""

from pathlib import Path
from typing import Any

from inference import runtime

runtime.prepare()

import torch  # noqa: E402
from segment_anything import sam_model_registry  # noqa: E402
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer  # noqa: E402
from segment_anything.modeling.common import LayerNorm2d  # noqa: E402
from segment_anything.modeling.image_encoder import Block  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.nn.utils.fusion import fuse_conv_bn_eval  # noqa: E402

MODEL_TYPE = "vit_yard"
IMAGE_SIZE = 640
STRIDE = 16
_DEEP_STRIDE = 32
_WIDTH = 128
_DETAIL_CHANNELS = 8
_OUTSIDE = -10.0  # mask logit where there is no picture


def register() -> None:
    """Register `vit_yard` with segment-anything."""
    sam_model_registry.setdefault(MODEL_TYPE, build_sam_vit_yard)


def build_sam_vit_yard(checkpoint: str | Path | None = None) -> Sam:
    """Build the model, as segment-anything's own `build_sam_*` do.

    Args:
        checkpoint: a state dict in half or single precision; None leaves random weights.
    """
    grid = IMAGE_SIZE // STRIDE
    sam = Sam(
        image_encoder=YardEncoder(),
        prompt_encoder=YardPromptEncoder(
            embed_dim=_WIDTH,
            image_embedding_size=(grid, grid),
            input_image_size=(IMAGE_SIZE, IMAGE_SIZE),
            mask_in_chans=8,
        ),
        mask_decoder=YardMaskDecoder(
            num_multimask_outputs=1,
            transformer=TwoWayTransformer(depth=1, embedding_dim=_WIDTH, mlp_dim=256, num_heads=4),
            transformer_dim=_WIDTH,
            activation=nn.ReLU,
            iou_head_depth=2,
            iou_head_hidden_dim=64,
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )
    sam.eval()
    if checkpoint is not None:
        sam.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    return sam


class YardEncoder(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Image encoder: (B, 3, 640, 640) normalised picture to (B, 128, 40, 40) embedding."""

    img_size = IMAGE_SIZE

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(3, 24, stride=2)
        self.quarter = nn.Sequential(_conv(24, 32, stride=2), _Residual(32))
        self.eighth = nn.Sequential(_conv(32, 64, stride=2), _Residual(64))
        self.sixteenth = nn.Sequential(_conv(64, _WIDTH, stride=2), _Residual(_WIDTH))
        self.deep = _conv(_WIDTH, _WIDTH, stride=2)
        deep_grid = IMAGE_SIZE // _DEEP_STRIDE
        self.position = nn.Parameter(torch.zeros(1, deep_grid, deep_grid, _WIDTH))
        self.blocks = nn.ModuleList(Block(dim=_WIDTH, num_heads=4, input_size=(deep_grid, deep_grid)) for _ in range(2))
        self.detail = nn.Conv2d(32, _DETAIL_CHANNELS, 1)
        self.neck = nn.Sequential(
            nn.Conv2d(2 * _WIDTH + _DETAIL_CHANNELS * (STRIDE // 4) ** 2, _WIDTH, 1, bias=False),
            LayerNorm2d(_WIDTH),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, bias=False),
            LayerNorm2d(_WIDTH),
        )
        self._fused = False

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Embed; the rows that `Sam.preprocess` padded below the picture are not computed."""
        rows = picture.shape[2]
        picture = picture[:, :, : _picture_rows(picture)]
        if self._fused:
            picture = picture.contiguous(memory_format=torch.channels_last)
        quarter = self.quarter(self.stem(picture))
        sixteenth = self.sixteenth(self.eighth(quarter))
        deep = self.deep(sixteenth).permute(0, 2, 3, 1)
        deep = deep + self.position[:, : deep.shape[1], : deep.shape[2]]
        for block in self.blocks:
            deep = block(deep)
        context = functional.interpolate(deep.permute(0, 3, 1, 2), scale_factor=2.0, mode="bilinear")
        detail = functional.pixel_unshuffle(self.detail(quarter), STRIDE // 4)
        embedding = self.neck(torch.cat([sixteenth, context, detail], dim=1))
        return functional.pad(embedding, (0, 0, 0, rows // STRIDE - embedding.shape[2]))

    def fuse(self) -> None:
        """Fold the batch normalisations into the convolutions and lay channels last, for a CPU.

        The same function but for rounding, in four fifths of the time. For inference only.
        """
        for layers in [module for module in self.modules() if isinstance(module, nn.Sequential)]:
            if len(layers) > 1 and isinstance(layers[1], nn.BatchNorm2d):
                layers[0] = fuse_conv_bn_eval(layers[0], layers[1])
                layers[1] = nn.Identity()
        self.to(memory_format=torch.channels_last)
        self._fused = True


class YardPromptEncoder(PromptEncoder):  # type: ignore[misc]  # segment-anything is untyped
    """Segment-anything's prompt encoder, with the box drawn into the dense embedding, too."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.place = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, self.embed_dim))

    def forward(
        self,
        points: tuple[torch.Tensor, torch.Tensor] | None,
        boxes: torch.Tensor | None,
        masks: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sparse (B, N, 128) and dense (B, 128, 40, 40) embeddings, as `PromptEncoder.forward`."""
        sparse, dense = super().forward(points, boxes, masks)
        if boxes is not None:
            dense = dense + self.place(self._places(boxes.reshape(-1, 4))).permute(0, 3, 1, 2)
        return sparse, dense

    def _places(self, boxes: torch.Tensor) -> torch.Tensor:
        """(B, 40, 40, 8): where each cell's centre lies in each box, and how large the box is."""
        rows, columns = self.image_embedding_size
        height, width = self.input_image_size
        y = ((torch.arange(rows, device=boxes.device) + 0.5) * height / rows)[None, :, None].expand(
            len(boxes), -1, columns
        )
        x = ((torch.arange(columns, device=boxes.device) + 0.5) * width / columns)[None, None].expand(
            len(boxes), rows, -1
        )
        left, top, right, bottom = (side[:, None, None] for side in boxes.float().unbind(dim=1))
        wide, high = (right - left).clamp(min=1), (bottom - top).clamp(min=1)
        shares = torch.stack([(x - left) / wide, (right - x) / wide, (y - top) / high, (bottom - y) / high], dim=-1)
        cells = torch.stack([x - left, right - x, y - top, bottom - y], dim=-1) / (width / columns)
        inside = torch.sigmoid(cells)
        size = torch.stack([wide / width, high / height], dim=-1).expand(-1, rows, columns, -1)
        # Far outside all shares look the same.
        middle = shares[..., ::2].clamp(-0.5, 1.5)
        return torch.cat([middle, inside, size], dim=-1)


class YardMaskDecoder(MaskDecoder):  # type: ignore[misc]  # segment-anything is untyped
    """Segment-anything's mask decoder, which leaves out the rows that the encoder left out."""

    def forward(
        self,
        image_embeddings: torch.Tensor,
        image_pe: torch.Tensor,
        sparse_prompt_embeddings: torch.Tensor,
        dense_prompt_embeddings: torch.Tensor,
        multimask_output: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mask logits (B, C, 160, 160) and their predicted IoU (B, C), as `MaskDecoder.forward`."""
        rows = _filled_rows(image_embeddings)
        masks, quality = super().forward(
            image_embeddings[:, :, :rows],
            image_pe[:, :, :rows],
            sparse_prompt_embeddings,
            dense_prompt_embeddings[:, :, :rows],
            multimask_output,
        )
        cells = masks.shape[2] // rows
        below = (image_embeddings.shape[2] - rows) * cells
        return functional.pad(masks, (0, 0, 0, below), value=_OUTSIDE), quality

    def predict_masks(
        self,
        image_embeddings: torch.Tensor,
        image_pe: torch.Tensor,
        sparse_prompt_embeddings: torch.Tensor,
        dense_prompt_embeddings: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `MaskDecoder.predict_masks`, without copying the one embedding for each box.

        Channels come last in memory: the transformer takes cells as rows, and each of its
        linear layers would otherwise copy all cells of all boxes.
        """
        count = len(sparse_prompt_embeddings)
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])[None].expand(count, -1, -1)
        tokens = torch.cat((own, sparse_prompt_embeddings), dim=1)
        last = torch.channels_last
        source = image_embeddings.contiguous(memory_format=last) + dense_prompt_embeddings.contiguous(
            memory_format=last
        )
        place = image_pe.contiguous(memory_format=last).expand(count, -1, -1, -1)
        answers, cells = self.transformer(source, place, tokens)
        upscaled = self.output_upscaling(cells.transpose(1, 2).view(source.shape))
        weights = torch.stack([mlp(answers[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1)
        masks = (weights @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])
        return masks, self.iou_prediction_head(answers[:, 0])


class _Residual(nn.Module):  # type: ignore[misc]
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(channels, channels), _conv(channels, channels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.layers(features)


def _conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.SiLU(inplace=True)
    )


def _picture_rows(picture: torch.Tensor) -> int:
    """Rows that hold a picture, rounded up to the deepest stride."""
    return -(-_filled_rows(picture) // _DEEP_STRIDE) * _DEEP_STRIDE


def _filled_rows(features: torch.Tensor) -> int:
    """Rows of (B, C, H, W) down to the last that is not all zero: padding is exactly zero."""
    filled = features.detach().abs().amax(dim=(0, 1, 3)).nonzero()
    return int(filled[-1]) + 1 if len(filled) else 1
