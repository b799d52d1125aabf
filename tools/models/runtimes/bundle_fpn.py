"""The feature extractor of MONAI's RetinaNet without torchvision, whose build for this torch many machines lack.

MONAI's own function takes torchvision's layer getter; the same layers in the same order, under the same names, so that
a bundle's weights fit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

FEATURES = 256
"""Channels of every level of the pyramid, as in MONAI."""


def resnet_fpn_feature_extractor(
    backbone: Any,
    spatial_dims: int,
    pretrained_backbone: bool = False,
    returned_layers: Sequence[int] = (1, 2, 3),
    trainable_backbone_layers: int | None = None,
) -> Any:
    """Return a feature pyramid on a ResNet.

    Args:
        backbone: a `monai.networks.nets.ResNet`.
        spatial_dims: 2 or 3.
        pretrained_backbone: must be False; weights come from the bundle.
        returned_layers: which of the ResNet's four layers feed the pyramid.
        trainable_backbone_layers: of no effect, nothing is trained.
    """
    from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool
    from torch import Tensor, nn

    if pretrained_backbone:
        raise ValueError("pretrained_backbone must be False: weights come from the bundle's own folder")
    levels = {f"layer{number}": str(level) for level, number in enumerate(returned_layers)}

    class Body(nn.ModuleDict):
        """The backbone's parts in order, up to the last level wanted."""

        def forward(self, image: Tensor) -> OrderedDict[str, Tensor]:
            found: OrderedDict[str, Tensor] = OrderedDict()
            features = image
            for name, part in self.items():
                features = part(features)
                if name in levels:
                    found[levels[name]] = features
            return found

    class Pyramid(nn.Module):
        """Backbone and pyramid, under the names that MONAI gives them."""

        def __init__(self) -> None:
            super().__init__()
            self.body = Body(_until(backbone, set(levels)))
            width = backbone.in_planes // 8
            self.fpn = FeaturePyramidNetwork(
                spatial_dims=spatial_dims,
                in_channels_list=[width * 2 ** (number - 1) for number in returned_layers],
                out_channels=FEATURES,
                extra_blocks=LastLevelMaxPool(spatial_dims),
            )
            self.out_channels = FEATURES

        def forward(self, image: Tensor) -> Any:
            return self.fpn(self.body(image))

    return Pyramid()


def _until(backbone: Any, wanted: set[str]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    remaining = set(wanted)
    for name, part in backbone.named_children():
        parts[name] = part
        remaining.discard(name)
        if not remaining:
            return parts
    raise ValueError(f"the backbone has no {', '.join(sorted(remaining))}")
