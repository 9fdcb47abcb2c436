"""People and how they are told apart: what training draws, what it descends, what verification counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eigenwalk_miniatures import load
from eigenwalk_miniatures.embedder import DIMENSIONS, Embedder
from eigenwalk_miniatures.miniature import Miniature
from eigenwalk_miniatures.training import embedder, verify
from eigenwalk_miniatures.training.people import RELATIVES, differing, drawn, families


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_relatives_share_some_factors_and_are_still_two_people(people: Miniature) -> None:
    shares = families(people, 400, random())
    assert shares.shape == (400, RELATIVES, len(people.identity))
    common = (shares[:, 0] == shares[:, 1]).sum(1)
    assert common.min() == 0 and common.max() == len(people.identity) - 1
    assert abs(common.float().mean() - (len(people.identity) - 1) / 2) < 1


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


def test_contrastive_loss_is_its_formula() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(6, 4, generator=random()), dim=1).double()
    numbers = torch.tensor([0, 0, 1, 1, 1, 2]).repeat_interleave(1)
    numbers[5] = 0
    expected = 0.0
    for i in range(6):
        friends = [p for p in range(6) if p != i and numbers[p] == numbers[i]]
        all_others = sum(torch.exp(vectors[i] @ vectors[a] / 0.2) for a in range(6) if a != i)
        terms = [torch.log(torch.exp(vectors[i] @ vectors[p] / 0.2) / all_others) for p in friends]
        expected -= sum(terms) / len(terms) / 6
    torch.testing.assert_close(embedder.contrastive(vectors, numbers, 0.2), torch.as_tensor(expected))


def test_verification_counts_as_defined() -> None:
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
    before = torch.get_num_threads()
    arguments = ["x", "faces", "--out", str(tmp_path), "--images", "384", "--people", "80", "--threads", "1"]
    monkeypatch.setattr("sys.argv", arguments)
    embedder.main()
    torch.set_num_threads(before)
    from safetensors.torch import load_file

    trained = Embedder()
    trained.load_state_dict(load_file(tmp_path / "embedder.safetensors"))
    vectors = trained.eval()(torch.rand(2, 3, 64, 64))
    assert vectors.shape == (2, DIMENSIONS)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


def test_the_shipped_embedding_tells_unseen_people_apart(people: Miniature) -> None:
    told = verify.told_apart(people, load.embedder(people), verify.painted(people), 200)
    assert told["auc"] > 0.97, told
    assert told["equal_error"] < 0.1, told


def test_relatives_are_told_apart_too(people: Miniature) -> None:
    told = verify.told_apart(people, load.embedder(people), verify.painted(people), 150, factors=4)
    assert told["auc"] > 0.8, told


def test_the_person_moves_the_embedding_more_than_all_else(people: Miniature) -> None:
    moved = verify.moved_by(people, load.embedder(people), verify.painted(people), 10)
    others = [value for name, value in moved.items() if name not in people.identity]
    own = [moved[name] for name in people.identity]
    assert sum(own) / len(own) > 3 * sum(others) / len(others), moved
