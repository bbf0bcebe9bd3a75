"""What a network must say of each view in training."""

from dataclasses import replace

import pytest
import torch

from train.fit import BLINDING_RATE, learning_rate_share
from train.goals import cut_mix, make_goals, make_views
from train.settings import Settings

TARGETS = torch.tensor([0, 1, 1, 2])
PLAIN = Settings(size=32, no_lungs=0.0, foreign_frames=0.0)


def goals(**changes: float) -> torch.Tensor:
    return make_goals(TARGETS, TARGETS, replace(PLAIN, **changes))


def views(settings: Settings, images: torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    each = make_goals(TARGETS, TARGETS, settings)
    targets = each[:-1].repeat(len(images) // len(TARGETS), 1)
    return make_views(images, targets, each[-1], settings, torch.Generator().manual_seed(seed))


def test_is_its_class_and_of_nothing_how_frequent_each_class_is() -> None:
    assert goals().tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0.25, 0.5, 0.25]]


def test_doubts_subtypes_but_not_whether_it_is_pneumonia_where_subtypes_are_smoothed() -> None:
    found = goals(subtype_smoothing=0.2)
    assert found[0].tolist() == [1, 0, 0]
    assert found[1].tolist() == pytest.approx([0, 0.8, 0.2])
    assert found[3].tolist() == pytest.approx([0, 0.2, 0.8])


def test_leaves_every_class_a_little_where_labels_are_smoothed() -> None:
    assert goals(label_smoothing=0.3)[0].tolist() == pytest.approx([0.8, 0.1, 0.1])


def test_counts_normal_and_pneumonia_alike_where_classes_are_balanced() -> None:
    found = goals(balance=True)[:-1].sum(1)
    assert found[0] == pytest.approx(found[1:].sum())
    assert found.mean() == pytest.approx(1)


def test_is_nothing_where_the_lungs_were_removed() -> None:
    _, found = views(replace(PLAIN, no_lungs=1.0), torch.full((4, 48, 48), 200, dtype=torch.uint8))
    assert found.tolist() == [[0.25, 0.5, 0.25]] * 4


def test_is_mixed_as_the_views_are() -> None:
    images = torch.randint(0, 256, (4, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    alone, targets = views(PLAIN, images)
    mixed, found = views(replace(PLAIN, mixup=1.0), images)
    share = float(found[0, 0])
    assert 0 < share < 1
    assert torch.allclose(found, share * targets + (1 - share) * targets.flip(0))
    assert torch.allclose(mixed, share * alone + (1 - share) * alone.flip(0), atol=1e-3)


def test_is_mixed_by_what_a_view_shows_where_rectangles_are_exchanged() -> None:
    images = torch.randint(0, 256, (4, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    alone, targets = views(PLAIN, images)
    mixed, found = views(replace(PLAIN, cutmix=1.0), images)
    foreign = (mixed != alone).all(0)
    assert torch.equal(mixed, torch.where(foreign, alone.flip(0), alone))
    taken = float(foreign.float().mean())
    assert 0 < taken < 1
    assert torch.allclose(found, (1 - taken) * targets + taken * targets.flip(0))


@pytest.mark.parametrize(("share", "taken"), [(1.0, (0, 0)), (0.75, (0.0625, 0.26)), (0.0, (0.25, 1))])
def test_is_its_own_for_about_the_share_that_is_asked_for_and_cut_off_at_the_edge(
    share: float, taken: tuple[float, float]
) -> None:
    shown = torch.tensor([0.0, 1.0])[:, None, None].expand(2, 40, 40)
    for seed in range(30):
        mixed, found = cut_mix(shown, torch.eye(2), share, torch.Generator().manual_seed(seed))
        foreign = mixed[0]
        height, width = (int(foreign.any(axis).sum()) for axis in (1, 0))
        assert foreign.sum() == height * width, "one rectangle"
        assert taken[0] <= foreign.mean() <= taken[1]
        assert found[0].tolist() == pytest.approx([1 - float(foreign.mean()), float(foreign.mean())])


def test_has_the_teachers_word_for_its_share_and_as_much_weight_as_the_label() -> None:
    images = torch.full((4, 48, 48), 200, dtype=torch.uint8)
    said = torch.tensor([[0.5, 0.25, 0.25]]).repeat(4, 1)
    targets = torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0.5]])
    settings = replace(PLAIN, teacher_share=0.8)
    _, found = make_views(
        images,
        targets,
        torch.ones(3) / 3,
        settings,
        torch.Generator().manual_seed(0),
        lambda views, _: said[: len(views)],
    )
    assert found.sum(1).tolist() == pytest.approx([2, 1, 1, 0.5])
    assert found[0].tolist() == pytest.approx([0.2 * 2 + 0.8 * 2 * 0.5, 0.4, 0.4])


def test_comes_from_a_teacher_who_sees_the_view_before_its_detail_is_changed() -> None:
    images = torch.randint(0, 256, (4, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    seen = []

    def teach(views: torch.Tensor, _: torch.Generator) -> torch.Tensor:
        seen.append(views.clone())
        return torch.ones(4, 3) / 3

    targets = make_goals(TARGETS, TARGETS, PLAIN)
    settings = replace(PLAIN, teacher_share=0.5, detail=0.7)
    changed, _ = make_views(images, targets[:-1], targets[-1], settings, torch.Generator().manual_seed(0), teach)
    alone, _ = views(PLAIN, images)
    assert torch.equal(seen[0], alone)
    assert not torch.allclose(changed, alone, atol=1)


def test_is_learned_at_a_rate_that_warms_up_falls_and_starts_once_more_for_the_last_epochs() -> None:
    rates = [learning_rate_share(epoch, 8, 2) for epoch in (0, 0.5, 1, 4.5, 7.999, 8, 9, 10)]
    assert rates == pytest.approx([0, 0.5, 1, 0.5, 0, BLINDING_RATE, BLINDING_RATE / 2, 0], abs=1e-3)


def test_is_partly_what_the_teacher_says_of_the_view_but_not_where_nothing_is_left_to_see() -> None:
    images = torch.full((4, 48, 48), 200, dtype=torch.uint8)

    def teach(views: torch.Tensor, _: torch.Generator) -> torch.Tensor:
        assert views.shape == (4, 32, 32)
        return torch.tensor([0.0, 0.0, 1.0]).expand(4, 3)

    def taught(settings: Settings) -> list[list[float]]:
        each = make_goals(TARGETS, TARGETS, settings)
        generator = torch.Generator().manual_seed(0)
        return make_views(images, each[:-1], each[-1], settings, generator, teach)[1].tolist()

    assert taught(replace(PLAIN, teacher_share=0.75)) == [[0.25, 0, 0.75], [0, 0.25, 0.75], [0, 0.25, 0.75], [0, 0, 1]]
    assert taught(replace(PLAIN, teacher_share=0.75, no_lungs=1.0)) == [[0.25, 0.5, 0.25]] * 4
