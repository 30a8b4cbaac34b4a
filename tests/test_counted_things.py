"""The pictures of lessons 18 and 20."""

import numpy as np
import pytest

from utils import counted_things as counted


def test_the_split_has_every_combination_once_and_every_word_on_both_sides():
    training, held_out = counted.split()
    assert len(training) == 618 and len(held_out) == 150
    assert len(set(training) | set(held_out)) == 768
    words = {*counted.NUMBERS, *counted.COLOURS, *counted.THINGS}
    assert {w for c in training for w in c} == words == {w for c in held_out for w in c}
    assert counted.split() == (training, held_out), "the same each time"


@pytest.mark.parametrize("number", counted.NUMBERS)
def test_a_picture_shows_so_many_things_in_its_colour(number):
    picture = counted.draw((number, "red", "apple"), np.random.default_rng(0))
    assert picture.shape == (3, 40, 40)
    inked = (picture < 0.99).any(0)
    quarters = [inked[y : y + 20, x : x + 20].any() for y in (0, 20) for x in (0, 20)]
    assert sum(quarters) == counted.NUMBERS.index(number) + 1
    assert np.allclose(picture[:, inked].min(1), np.array([220, 30, 30]) / 255, atol=0.03)


def test_places_and_sizes_are_drawn():
    lots = np.random.default_rng(1)
    one, two = counted.draw_all([("two", "blue", "owl")] * 2, lots)
    assert one.shape == (3, 40, 40) and not (one == two).all()
