import numpy as np
import pytest
import torch

from train.augment import augment, change_detail, remove_lungs, swap_frames


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 64) -> torch.Tensor:
    y, x = np.mgrid[0:64, 0:64]
    return torch.from_numpy(np.stack([(x * 2 + y) % 256] * count).astype(np.uint8))


def test_views_have_the_size_and_range_that_the_network_takes() -> None:
    views = augment(pictures(), 32, generator())
    assert views.shape == (64, 32, 32)
    assert views.dtype == torch.float32
    assert views.min() >= 0
    assert views.max() <= 255


def test_views_of_one_picture_differ() -> None:
    views = augment(pictures(), 32, generator())
    assert len({view.numpy().tobytes() for view in views}) == 64


def test_the_same_seed_gives_the_same_views() -> None:
    assert torch.equal(augment(pictures(), 32, generator(3)), augment(pictures(), 32, generator(3)))
    assert not torch.equal(augment(pictures(), 32, generator(3)), augment(pictures(), 32, generator(4)))


def test_the_pictures_themselves_are_left_alone() -> None:
    images = pictures()
    before = images.clone()
    augment(images, 32, generator())
    assert torch.equal(images, before)


def test_about_half_of_the_views_are_mirrored() -> None:
    ramp = torch.arange(64, dtype=torch.uint8).mul(4).expand(400, 64, 64)
    views = augment(ramp, 32, generator())
    centre = views[:, 8:-8, 8:-8]
    rising = (centre[:, :, -4:].mean((1, 2)) > centre[:, :, :4].mean((1, 2))).float().mean()
    assert 0.4 < rising < 0.6


def test_crops_are_everything_from_a_tenth_to_all_of_the_picture() -> None:
    ramp = torch.arange(64, dtype=torch.uint8).mul(4).expand(400, 64, 64)
    centre = augment(ramp, 64, generator())[:, 28:36, 16:48]
    spans = (centre[:, :, -1].mean(1) - centre[:, :, 0].mean(1)).abs()  # of 31 columns: 124 when nothing is cropped
    assert spans.quantile(0.05) < 50
    assert spans.quantile(0.95) > 100


@pytest.mark.parametrize("most", [1.0, 4 / 3, 1.7])
def test_views_are_stretched_either_way_as_far_as_is_said_and_no_further(
    monkeypatch: pytest.MonkeyPatch, most: float
) -> None:
    for other in ("ROTATION", "EXPOSURE", "BRIGHTNESS", "BLUR_SHARE", "NOISE", "FRAME_SHARE"):
        monkeypatch.setattr(f"train.augment.{other}", 0.0)
    across = torch.arange(64, dtype=torch.uint8).mul(4).expand(500, 64, 64)
    of_ramp, of_turned = (augment(ramp, 64, generator(), 0.3, most) for ramp in (across, across.mT.contiguous()))
    width, height = (of_ramp[:, 32, 40] - of_ramp[:, 32, 24]).abs(), of_turned[:, 40, 32] - of_turned[:, 24, 32]
    stretches = width / height
    assert stretches.max() == pytest.approx(most, rel=0.02)
    assert stretches.min() == pytest.approx(1 / most, rel=0.02)


def test_a_swapped_frame_is_that_of_another_picture_and_leaves_the_middle_alone() -> None:
    images = torch.arange(40, dtype=torch.uint8).mul(6)[:, None, None].expand(40, 50, 50)
    swapped = swap_frames(images, 1.0, generator())
    assert torch.equal(swapped[:, 8:42, 8:42], images[:, 8:42, 8:42])
    frame = swapped[:, 0]
    assert torch.equal(frame[:, 0].sort().values, images[:, 0, 0])  # every frame is somebody's
    assert (frame[:, 0] != images[:, 0, 0]).float().mean() > 0.8
    assert torch.equal(swap_frames(images, 0.0, generator()), images)


def test_of_removed_lungs_only_the_frame_is_left() -> None:
    images = torch.randint(0, 256, (40, 50, 50), dtype=torch.uint8, generator=generator(1))
    emptied, chosen = remove_lungs(images, 0.5, generator())
    assert 10 < chosen.sum() < 30
    assert torch.equal(emptied[~chosen], images[~chosen])
    middle = emptied[chosen][:, 8:42, 8:42]
    assert torch.equal(middle.amin((1, 2)), middle.amax((1, 2)))  # one grey
    assert len(middle[:, 0, 0].unique()) > 5
    assert torch.equal(emptied[chosen][:, :2], images[chosen][:, :2])


def test_some_of_the_removed_lungs_become_black() -> None:
    images = torch.full((200, 50, 50), 99, dtype=torch.uint8)
    emptied, _ = remove_lungs(images, 1.0, generator(), black=0.5)
    assert 0.4 < (emptied[:, 25, 25] == 0).float().mean() < 0.6


def test_detail_becomes_stronger_in_some_views_and_weaker_in_others_and_brightness_stays() -> None:
    checks = torch.tensor([[100.0, 140.0], [140.0, 100.0]]).repeat(16, 16).expand(200, 32, 32)
    changed = change_detail(checks, 0.7, generator())
    strength = changed[:, 8:-8, 8:-8].std((1, 2)) / checks[:, 8:-8, 8:-8].std((1, 2))
    assert 0.45 < strength.min() < 0.6
    assert 1.7 < strength.max() < 2.1
    assert torch.allclose(changed.mean((1, 2)), torch.tensor(120.0), atol=1)


def test_what_has_no_detail_has_none_afterwards_and_nothing_leaves_the_range() -> None:
    flat = torch.full((8, 32, 32), 77.0)
    assert torch.allclose(change_detail(flat, 0.7, generator()), flat, atol=1e-3)
    hard = torch.tensor([[0.0, 255.0]]).repeat(32, 16).expand(50, 32, 32)
    changed = change_detail(hard, 0.7, generator())
    assert changed.min() >= 0
    assert changed.max() <= 255
