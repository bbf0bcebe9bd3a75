"""What a network must say of each view in training."""

from dataclasses import replace

import pytest
import torch

from train.dataset import SOME_PNEUMONIA
from train.fit import BLINDING_RATE, DOUBTING_RATE, learning_rate_share
from train.goals import cross_entropy, cut_mix, make_goals, make_views
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
    assert goals().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0.25, 0.5, 0.25, 0]]


def test_is_either_kind_of_pneumonia_where_the_label_is_in_doubt() -> None:
    labels = torch.tensor([0, 1, SOME_PNEUMONIA, 2])
    found = make_goals(labels, labels, PLAIN)
    assert found[2].tolist() == [0, 0, 0, 1]
    assert found[-1].tolist() == [0.25] * 4
    smoothed = make_goals(labels, labels, replace(PLAIN, label_smoothing=0.3, subtype_smoothing=0.2))
    assert smoothed[2].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.7])


def test_is_both_kinds_of_pneumonia_alike_where_no_label_tells_one() -> None:
    labels = torch.tensor([0, SOME_PNEUMONIA, SOME_PNEUMONIA, SOME_PNEUMONIA])
    expected = [[1, 0, 0, 0], *[[0, 0.5, 0.5, 0]] * 3, [0.25, 0.375, 0.375, 0]]
    assert make_goals(labels, labels, PLAIN).tolist() == expected
    balanced = make_goals(labels, labels, replace(PLAIN, balance=True))
    assert balanced[1].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 0])
    assert balanced[-1].tolist() == pytest.approx([0.5, 0.25, 0.25, 0])


def test_is_learned_where_the_label_is_in_doubt_as_if_kinds_were_one_class() -> None:
    logits = torch.tensor([[0.5, -1.0, 2.0], [1.0, 0.0, -3.0]], requires_grad=True)
    cross_entropy(logits, torch.tensor([[0.0, 0, 0, 1], [0, 0, 0, 1]])).backward()
    probabilities = logits.detach().softmax(1)
    ill = 1 - probabilities[:, 0]
    normal, kinds = probabilities[:, :1], probabilities[:, 1:]
    assert torch.allclose(logits.grad, torch.cat([normal, -normal * kinds / ill[:, None]], 1) / 2)


def test_is_learned_by_the_usual_cross_entropy_where_no_label_is_in_doubt() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    shares = torch.rand(5, 3, generator=torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(shares, (0, 1))
    expected = torch.nn.functional.cross_entropy(logits, shares)
    assert float(cross_entropy(logits, padded)) == pytest.approx(float(expected))


def test_doubts_subtypes_but_not_whether_it_is_pneumonia_where_subtypes_are_smoothed() -> None:
    found = goals(subtype_smoothing=0.2)
    assert found[0].tolist() == [1, 0, 0, 0]
    assert found[1].tolist() == pytest.approx([0, 0.8, 0.2, 0])
    assert found[3].tolist() == pytest.approx([0, 0.2, 0.8, 0])


def test_leaves_every_class_a_little_where_labels_are_smoothed() -> None:
    assert goals(label_smoothing=0.3)[0].tolist() == pytest.approx([0.8, 0.1, 0.1, 0])


def test_counts_normal_and_pneumonia_alike_where_classes_are_balanced() -> None:
    found = goals(balance=True)[:-1].sum(1)
    assert found[0] == pytest.approx(found[1:].sum())
    assert found.mean() == pytest.approx(1)


def test_is_nothing_where_the_lungs_were_removed() -> None:
    _, found = views(replace(PLAIN, no_lungs=1.0), torch.full((4, 48, 48), 200, dtype=torch.uint8))
    assert found.tolist() == [[0.25, 0.5, 0.25, 0]] * 4


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
    targets = torch.tensor([[2.0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, 0]])
    settings = replace(PLAIN, teacher_share=0.8)
    _, found = make_views(
        images,
        targets,
        torch.ones(4) / 4,
        settings,
        torch.Generator().manual_seed(0),
        lambda views, _: said[: len(views)],
    )
    assert found.sum(1).tolist() == pytest.approx([2, 1, 1, 0.5])
    assert found[0].tolist() == pytest.approx([0.2 * 2 + 0.8 * 2 * 0.5, 0.4, 0.4, 0])


def test_has_only_how_likely_pneumonia_is_from_a_teacher_whose_kinds_are_in_doubt() -> None:
    labels = torch.tensor([0, 1, 2, SOME_PNEUMONIA])
    each = make_goals(labels, labels, PLAIN)
    _, found = make_views(
        torch.full((4, 48, 48), 200, dtype=torch.uint8),
        each[:-1],
        each[-1],
        replace(PLAIN, teacher_share=0.5),
        torch.Generator().manual_seed(0),
        lambda views, _: torch.tensor([[0.5, 0.125, 0.375]]).repeat(len(views), 1),
        doubting=True,
    )
    assert found.tolist() == [[0.75, 0, 0, 0.25], [0.25, 0.75, 0, 0], [0.25, 0, 0.75, 0], [0.25, 0, 0, 0.75]]


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


def test_is_learned_at_a_rate_that_warms_up_falls_and_starts_once_more_for_either_kind_of_last_epochs() -> None:
    settings = Settings(epochs=8, blinding_epochs=2, doubting_epochs=4)
    rates = [learning_rate_share(epoch, settings) for epoch in (0, 0.5, 1, 4.5, 7.999)]
    assert rates == pytest.approx([0, 0.5, 1, 0.5, 0], abs=1e-3)
    last = [learning_rate_share(epoch, settings) for epoch in (8, 9, 9.999, 10, 12, 13.999)]
    assert last[:3] == pytest.approx([BLINDING_RATE, BLINDING_RATE / 2, 0], abs=1e-3)
    assert last[3:] == pytest.approx([DOUBTING_RATE, DOUBTING_RATE / 2, 0], abs=1e-3)
    without = replace(settings, doubting_epochs=0)
    assert [learning_rate_share(epoch, without) for epoch in (0.5, 4.5, 9)] == [rates[1], rates[3], last[1]]


def test_is_partly_what_the_teacher_says_of_the_view_but_not_where_nothing_is_left_to_see() -> None:
    images = torch.full((4, 48, 48), 200, dtype=torch.uint8)

    def teach(views: torch.Tensor, _: torch.Generator) -> torch.Tensor:
        assert views.shape == (4, 32, 32)
        return torch.tensor([0.0, 0.0, 1.0]).expand(4, 3)

    def taught(settings: Settings) -> list[list[float]]:
        each = make_goals(TARGETS, TARGETS, settings)
        generator = torch.Generator().manual_seed(0)
        return make_views(images, each[:-1], each[-1], settings, generator, teach)[1].tolist()

    found = taught(replace(PLAIN, teacher_share=0.75))
    assert found == [[0.25, 0, 0.75, 0], [0, 0.25, 0.75, 0], [0, 0.25, 0.75, 0], [0, 0, 1, 0]]
    assert taught(replace(PLAIN, teacher_share=0.75, no_lungs=1.0)) == [[0.25, 0.5, 0.25, 0]] * 4
