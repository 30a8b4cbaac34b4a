"""The eye for photographs, and the photographs."""

import pytest
import torch

from utils import data, efficientnet


@pytest.fixture(scope="module")
def eye():
    return efficientnet.load()


def test_every_weight_has_its_place(eye):
    assert sum(p.numel() for p in eye.parameters()) == 4_652_008
    assert not eye.training


def test_it_knows_a_cat_and_a_cup_of_coffee(eye):
    names, photographs = efficientnet.class_names(), data.photographs()
    for name, wanted in (("cat", "cat"), ("coffee", "espresso")):
        photo = photographs[name].resize((224, 224))
        pixels = torch.tensor(list(photo.getdata()), dtype=torch.float32)  # (224 * 224, 3)
        x = (pixels.T.view(1, 3, 224, 224) - 127) / 128
        with torch.no_grad():
            best = names[eye(x).argmax().item()]
        assert any(wanted in one for one in best), best


def test_names_of_the_classes():
    names = efficientnet.class_names()
    assert len(names) == 1000 and all(all(row) for row in names)
    assert names[281] == ["tabby", "tabby cat"] and names[967] == ["espresso"]


def test_photographs_are_there_in_colour():
    for name, photo in data.photographs().items():
        assert photo.mode == "RGB" and 300 <= min(photo.size) <= 430, name
