"""The paper's augmentation of the training images, seeded image by image.

Source: Wang, Guo, Zuo (IEEE TIP 2022) and its published settings: JPEG 60-100, Gaussian noise, flip, one of
brightness-contrast, PCA colour and hue-saturation, grey, shift-scale-rotate.
"""

import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torchvision.transforms import v2

from dfgame.config import AugmentConfig

NOISE_SIGMA = (0.0124, 0.0277)
"""Standard deviation of the Gaussian noise, a range: variances of 10 to 50 on the 0-255 scale."""
PCA_VALUES = (0.2175, 0.0188, 0.0045)
PCA_VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
"""Principal components of ImageNet's colours (Krizhevsky et al., NeurIPS 2012, section 4.1)."""
PCA_STRENGTH = 0.1


class PcaColour(nn.Module):
    """Add a random multiple of the colours' principal components to every pixel."""

    def forward(self, image: UInt8[Tensor, "3 H W"]) -> UInt8[Tensor, "3 H W"]:
        """Shift the colours."""
        alpha = torch.randn(3) * PCA_STRENGTH * torch.tensor(PCA_VALUES)
        shift = 255 * (torch.tensor(PCA_VECTORS) @ alpha)
        return (image + shift.view(3, 1, 1)).round().clamp(0, 255).to(torch.uint8)


class Noise(nn.Module):
    """Gaussian noise of a random strength."""

    def forward(self, image: UInt8[Tensor, "3 H W"]) -> UInt8[Tensor, "3 H W"]:
        """Add the noise."""
        low, high = NOISE_SIGMA
        strength = 255 * (low + (high - low) * torch.rand(()))
        return (image + strength * torch.randn(image.shape)).round().clamp(0, 255).to(torch.uint8)


class ShiftScaleRotate(nn.Module):
    """A small random similarity; what comes in from beyond the image is its mirror."""

    def __init__(self) -> None:
        super().__init__()
        self._affine = v2.RandomAffine(
            degrees=[-10.0, 10.0],
            translate=(0.04, 0.04),
            scale=(0.9, 1.1),
            interpolation=v2.InterpolationMode.BILINEAR,
        )

    def forward(self, image: UInt8[Tensor, "3 H W"]) -> UInt8[Tensor, "3 H W"]:
        """Move the image."""
        height, width = image.shape[1:]
        border = max(height, width) // 4
        padded = v2.functional.pad(image, [border] * 4, padding_mode="reflect")
        return v2.functional.center_crop(self._affine(padded), [height, width])


class Augmentation:
    """Augment a training image; the same seed gives the same result, and no global state is touched."""

    def __init__(self, config: AugmentConfig) -> None:
        colour = v2.RandomChoice(
            [
                v2.ColorJitter(brightness=0.2, contrast=0.2),
                PcaColour(),
                v2.ColorJitter(saturation=0.3, hue=0.05),
            ]
        )
        geometry = ShiftScaleRotate()
        self._steps = (
            (config.jpeg, v2.JPEG(quality=(60, 100))),
            (config.noise, Noise()),
            (config.flip, v2.RandomHorizontalFlip(p=1.0)),
            (config.colour, colour),
            (config.grey, v2.Grayscale(num_output_channels=3)),
            (config.geometry, geometry),
        )

    def __call__(self, image: UInt8[Tensor, "3 H W"], seed: int) -> UInt8[Tensor, "3 H W"]:
        """The augmented image, of the same shape."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for probability, step in self._steps:
                if torch.rand(()) < probability:
                    image = step(image)
        return image
