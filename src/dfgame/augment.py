"""The paper's augmentation of the training images, seeded image by image; and DiffAugment, for batches of tensors.

Source: Wang, Guo, Zuo (IEEE TIP 2022) and its published steps and chances: JPEG 60-100, Gaussian noise, flip, one of
brightness-contrast, PCA colour and hue-saturation, grey, shift-scale-rotate. Ours departs in the ranges of hue and of
the geometry, which is milder: shift 0.06 (published 0.1), scale 0.1 (0.2), rotation 10 degrees (10), and what comes in
from beyond the image is its mirror (one colour). Zhao et al., "Differentiable Augmentation for Data-Efficient GAN
Training", NeurIPS 2020.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torchvision.transforms import v2

from dfgame.config import AugmentConfig
from dfgame.dice import seeded

NOISE_SIGMA = (0.0124, 0.0277)
"""Standard deviation of the Gaussian noise, a range: variances of 10 to 50 on the 0-255 scale."""
PCA_VALUES = (0.2175, 0.0188, 0.0045)
PCA_VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
"""Principal components of ImageNet's colours (Krizhevsky et al., NeurIPS 2012, section 4.1)."""
PCA_STRENGTH = 0.1
COLOUR_CHANCE, TRANSLATION_CHANCE, CUT_OUT_CHANCE = 0.7, 0.5, 0.5
"""How often DiffAugment does each of its three."""
GREY = 0.5


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
        flip = (config.flip, v2.RandomHorizontalFlip(p=1.0))
        light = flip, (config.colour, colour)
        full = (
            (config.jpeg, v2.JPEG(quality=(60, 100))),
            (config.noise, Noise()),
            *light,
            (config.grey, v2.Grayscale(num_output_channels=3)),
            (config.geometry, ShiftScaleRotate()),
        )
        steps = {"none": (), "light": light, "full": full}
        self._steps = (*steps[config.before], *steps[config.again])

    def __call__(self, image: UInt8[Tensor, "3 H W"], seed: int) -> UInt8[Tensor, "3 H W"]:
        """The augmented image, of the same shape."""
        with seeded(seed):
            for probability, step in self._steps:
                if torch.rand(()) < probability:
                    image = step(image)
        return image


def diff_augment(images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """DiffAugment of a batch in [0, 1]: colour (0.7), translation by up to 1/8 (0.5), cut-out of a 1/2 square (0.5).

    Each image has dice of its own, thrown on the processor, so that every device sees the same ones. What comes in
    from beyond the image, and what is cut out, is mid-grey: the source's images are in [-1, 1], and it fills with 0.
    """
    batch, _, height, width = images.shape

    def thrown(probability: float) -> Tensor:
        return (torch.rand((batch, 1, 1, 1)) < probability).to(images.device)

    def spread(low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand((batch, 1, 1, 1))).to(images.device, images.dtype)

    def anywhere(most: int) -> Tensor:
        return torch.randint(-most, most + 1, (batch, 1, 1)).to(images.device)

    grey = images.mean(dim=1, keepdim=True)
    coloured = grey + (images - grey) * spread(0, 2)
    middle = coloured.mean(dim=(1, 2, 3), keepdim=True)
    coloured = (middle + (coloured - middle) * spread(0.5, 1.5) + spread(-0.25, 0.25)).clamp(0, 1)
    images = torch.where(thrown(COLOUR_CHANCE), coloured, images)

    rows = torch.arange(height, device=images.device).view(1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, -1)
    from_rows, from_columns = rows + anywhere(height // 8), columns + anywhere(width // 8)
    inside = (from_rows >= 0) & (from_rows < height) & (from_columns >= 0) & (from_columns < width)
    numbers = torch.arange(batch, device=images.device).view(-1, 1, 1)
    moved = images.permute(0, 2, 3, 1)[numbers, from_rows.clamp(0, height - 1), from_columns.clamp(0, width - 1)]
    moved = torch.where(inside[:, None], moved.permute(0, 3, 1, 2), GREY)
    images = torch.where(thrown(TRANSLATION_CHANCE), moved, images)

    centre_row, centre_column = height // 2 + anywhere(height // 2), width // 2 + anywhere(width // 2)
    cut = ((rows - centre_row).abs() <= height // 4) & ((columns - centre_column).abs() <= width // 4)
    return torch.where(thrown(CUT_OUT_CHANCE) & cut[:, None], GREY, images)
