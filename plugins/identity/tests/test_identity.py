"""The embedding equals the library's on the library's crop; which face is taken, and images without one."""

from __future__ import annotations

import pytest
import torch
from facenet_pytorch import InceptionResnetV1, fixed_image_standardization
from facenet_pytorch.models import inception_resnet_v1
from torch.nn.functional import normalize

from eigenwalk.errors import FileError, OptionError, Undefined, WeightsError
from eigenwalk_face.detector import Detector
from eigenwalk_face.faces import FFHQ_FACE
from eigenwalk_face.portraits import portraits
from eigenwalk_identity.identity import Facenet, identity, recogniser, widened


def test_the_embedding_equals_the_librarys(weights):
    images = torch.rand(3, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    library = InceptionResnetV1(classify=True, num_classes=8)
    library.load_state_dict(torch.load(weights, weights_only=True))
    library.eval().classify = False
    feature = identity(file=str(weights), box=(0, 0, 1, 1)).at(images)
    with torch.no_grad():
        torch.testing.assert_close(feature(images), library(fixed_image_standardization(images * 255)), rtol=0, atol=0)


def test_the_face_is_widened_by_its_margin_within_the_image(network):
    feature, boxes = Facenet(network, margin=20, size=80), torch.tensor([[20, 30, 50, 60], [0, 10, 90, 100]])
    # 20 of 80 pixels: a third of the face, a sixth on each side.
    crop = feature.cut(boxes.double(), torch.zeros(2, 5, 2), torch.zeros(2, 3, 100, 100))
    assert crop.boxes.tolist() == [[15, 25, 55, 65], [0, 0, 100, 100]]


def test_box_ffhq_is_the_face_of_aligned_images_with_the_margin(weights):
    fixed = identity(file=str(weights), box="ffhq", margin=10, size=80)
    assert fixed.memories == 0 and fixed.box == pytest.approx(widened(torch.tensor([FFHQ_FACE]), 10, 80)[0].tolist())
    with pytest.raises(OptionError, match="ffhq or four numbers"):
        identity(file=str(weights), box="fhq")


def test_distance_is_one_minus_cosine_and_radius_converts_it(network):
    feature = Facenet(network, box=(0, 0, 1, 1))
    a, b = normalize(torch.randn(2, 4, 512, dtype=torch.float64), dim=2)
    t = feature.distance(a, b)
    torch.testing.assert_close(t, 1 - (a * b).sum(1))
    lengths = [float(feature.radius(float(one), a)[0]) for one in t]
    assert lengths == pytest.approx((a - b).norm(dim=1).tolist())
    close = normalize(a + 1e-5 * b, dim=1).float()
    assert (feature.distance(a.float(), close) > 0).all()  # 1 - a float cosine would be 0, or less


def test_a_face_is_remembered_and_followed(network):
    feature, images = Facenet(network, Detector(0.7), size=80), portraits()
    first = feature.at(images)
    assert feature.memories == len(first.remembered) == 1
    elsewhere = images.roll(1, 0)
    elsewhere[0] = 0.4
    with pytest.raises(Undefined, match="no face where it was") as caught:
        feature.follow(elsewhere, first.remembered)
    assert caught.value.rows == (0,)


def test_a_box_needs_no_face(network):
    flat = torch.full((2, 3, 32, 32), 0.5)
    feature = Facenet(network, box=(0.1, 0.1, 0.9, 0.9))
    assert feature.memories == 0
    assert feature.at(flat)(flat).norm(dim=1) == pytest.approx(1)
    with pytest.raises(Undefined, match="less than 2 of 32 x 32 pixels") as caught:
        Facenet(network, box=(0.5, 0, 0.55, 1)).at(flat)
    assert caught.value.rows == (0, 1)


def test_building_identity_keeps_the_random_state_and_downloads_nothing(weights, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("facenet-pytorch's own download was called")

    monkeypatch.setattr(inception_resnet_v1, "download_url_to_file", refuse)
    before = torch.get_rng_state()
    identity(file=str(weights))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box": (0, 0, 1)}, "four numbers"),
        ({"size": 64}, "from 80"),
        ({"margin": -1}, "margin"),
        ({"margin": 100}, "half the crop's size, 80 pixels"),
        ({"least": 1}, "between 0 and 1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        identity(file="never-opened.pt", **options)


def test_files_of_other_networks_are_refused(tmp_path, network):
    with pytest.raises(FileError, match="there is no file"):
        identity(file=str(tmp_path / "none.pt"))
    state = network.state_dict()
    del state["last_bn.bias"]
    torch.save(state | {"extra": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"missing: last_bn\.bias; unexpected: extra"):
        recogniser(tmp_path / "other.pt")
