"""The sentences of lesson 11, and the house that they speak to."""

from collections import Counter

import pytest
from matplotlib.figure import Figure

from utils import house


def test_what_is_held_out_was_never_trained_on():
    trained = house.requests(20_000, seed=0)
    sentences, rooms = {s for s, _ in trained}, set(house.ROOMS)
    held_out = house.held_out()
    assert {kind: len(pairs) for kind, pairs in held_out.items()} == dict.fromkeys(held_out, 54)
    for kind, pairs in held_out.items():
        assert len(set(pairs)) == 54
        assert not sentences & {sentence for sentence, _ in pairs}
        if kind != "new nonsense":
            assert Counter(call.split("(")[0] for _, call in pairs) == {
                "lamp.on": 27,
                "lamp.off": 27,
            }
    plain = {s.replace(room, "{}") for s in sentences for room in [*rooms, "none"]}
    for sentence, call in held_out["new wordings"] + held_out["new nonsense"]:
        assert sentence.replace(call[:-1].split("(")[-1], "{}") not in plain, sentence
    new = Counter(call.split("(")[1][:-1] for _, call in held_out["new rooms"])
    assert set(new) == set(house.NEW_ROOMS) and not rooms & set(new) and min(new.values()) == 18


def test_requests_repeat_and_are_balanced():
    pairs = house.requests(80, seed=1)
    assert pairs == house.requests(80, seed=1) != house.requests(80, seed=2)
    assert Counter(call.split("(")[0] for _, call in pairs) == {
        "lamp.on": 30, "lamp.off": 30, "none": 20,
    }  # fmt: skip
    assert len(house.requests(7, seed=0)) == 7


@pytest.mark.parametrize(
    ("call", "lit"),
    [
        ("lamp.on(hall)", {"attic", "hall"}),
        ("lamp.on(library)", {"attic", "library"}),
        ("lamp.off(attic)", set()),
        ("lamp.off(hall)", {"attic"}),
        ("none", {"attic"}),
        ("lamp.on(garden)", {"attic"}),
        ("lamp.on(hall); lamp.on(porch)", {"attic"}),
        ("", {"attic"}),
    ],
)
def test_the_house_obeys_only_calls_for_its_rooms(call, lit):
    before = {"attic"}
    assert house.obey(call, before) == lit and before == {"attic"}


def test_the_house_draws_only_rooms_that_it_has():
    ax = Figure().subplots()
    house.draw(ax, {"hall", "library"})
    assert {t.get_text() for t in ax.texts} == set(house.ROOMS + house.NEW_ROOMS)
    with pytest.raises(ValueError, match="no garden; it has kitchen, "):
        house.draw(ax, {"garden"})
