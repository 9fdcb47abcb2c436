"""People and how they are told apart: samples of training, its loss, and verification."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from eigenwalk_miniatures import load
from eigenwalk_miniatures.embedder import Embedder
from eigenwalk_miniatures.miniature import Miniature
from training import embedder, verify
from training.data import CHUNK, SEED, render_to
from training.people import code, differing, drawn


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_picture_of_a_person_has_the_persons_factors_and_no_other_in_common(people: Miniature) -> None:
    who = torch.rand(6, len(people.identity), generator=random())
    one, two = (people.factors.share(drawn(people, who, random(seed))) for seed in (1, 2))
    columns = [people.factors.index(name) for name in people.identity]
    torch.testing.assert_close(one[:, columns], who)
    torch.testing.assert_close(two[:, columns], who)
    others = [i for i in range(len(people.factors)) if i not in columns]
    assert ((one[:, others] - two[:, others]).abs() > 1e-6).all()


@pytest.mark.parametrize("factors", [1, 4, 16])
def test_people_differ_in_as_many_factors_as_asked(people: Miniature, factors: int) -> None:
    one, two = differing(people, 50, factors, random())
    assert ((one != two).sum(1) == factors).all()


def test_distances_of_codes_are_their_formula(people: Miniature) -> None:
    one, two = torch.rand(2, 50, len(people.identity), generator=random())
    expected = (1 - torch.cos(torch.pi * (one - two))).mean(1)
    torch.testing.assert_close((code(one) - code(two)).square().sum(1) / 2, expected)
    torch.testing.assert_close(code(one).norm(dim=1), torch.ones(50))


def test_verification_gives_area_and_equal_error() -> None:
    same, different = torch.tensor([0.1, 0.2, 0.3, 0.6]), torch.tensor([0.3, 0.5, 0.7, 0.8])
    # Of 16 comparisons 13 are right, one is a tie, two are wrong.
    assert verify.area(same, different) == pytest.approx((13 + 0.5) / 16)
    error, threshold = verify.equal_error(same, different)
    assert error == pytest.approx(0.25) and threshold == pytest.approx(0.3)
    assert verify.accepted(same, different, false=0.0) == pytest.approx(0.75)
    assert verify.area(same, same) == pytest.approx(0.5)


def test_embedder_training_saves_what_the_package_opens(
    tmp_path: Path, people: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_to(tmp_path, people, CHUNK, 64, SEED)
    before = torch.get_num_threads()
    arguments = ["x", "faces", "--out", str(tmp_path), "--images", "256", "--threads", "1"]
    monkeypatch.setattr("sys.argv", arguments)
    embedder.main()
    torch.set_num_threads(before)
    trained = Embedder(len(people.identity))
    trained.load_state_dict(load_file(tmp_path / "embedder.safetensors"))
    vectors = trained.eval()(torch.rand(2, 3, 64, 64))
    assert vectors.shape == (2, 2 * len(people.identity))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize(("factors", "pairs", "auc"), [(None, 200, 0.97), (4, 150, 0.8)])
def test_the_shipped_embedding_tells_unseen_people_apart(
    people: Miniature, factors: int | None, pairs: int, auc: float
) -> None:
    """People that differ in all factors of identity, and in four of them."""
    figures = verify.told_apart(people, load.embedder(people), verify.painted(people), pairs, factors)
    assert figures["auc"] > auc, figures
    assert factors is not None or figures["equal_error"] < 0.1, figures


def test_the_person_moves_the_embedding_more_than_all_else(people: Miniature) -> None:
    moved = verify.moved_by(people, load.embedder(people), verify.painted(people), 10)
    others = [value for name, value in moved.items() if name not in people.identity]
    own = [moved[name] for name in people.identity]
    assert sum(own) / len(own) > 3 * sum(others) / len(others), moved
