"""Lesson 17's scenes and questions."""

import random

import numpy as np
import pytest
import torch

from utils import scenes

RED_RING, BLUE_RING, RED_SQUARE = ("ring", "red"), ("ring", "blue"), ("square", "red")


def test_who_knows_the_answer():
    scene = (RED_RING, None, BLUE_RING, RED_SQUARE)
    knows = {kind: row[3] for kind, row in scenes.KINDS.items()}
    assert knows["exists"](scene, "ring") == "yes" and knows["exists"](scene, "circle") == "no"
    assert knows["colour"](scene, "square") == "red" and knows["shape"](scene, "blue") == "ring"
    assert knows["colour"](scene, "ring") is None, "two rings: the question makes no sense"
    assert knows["colour"](scene, "circle") is None, "nor does it where there is none"


@pytest.mark.parametrize("kind", scenes.KINDS)
def test_answers_are_true_and_equally_likely(kind):
    lots, (_, _, answers, knows) = random.Random(3), scenes.KINDS[kind]
    rows = [scenes.careful(lots, kind) for _ in range(600)]
    for scene, question, answer in rows:
        (word,) = {word for word in question.split() if word in scenes.KINDS[kind][1]}
        assert knows(scene, word) == answer
    counts = [sum(answer == a for _, _, answer in rows) for a in answers]
    spread = 4 * (600 / len(answers)) ** 0.5
    assert all(abs(count - 600 / len(answers)) < spread for count in counts), counts


def test_data_have_the_shapes_that_they_promise_and_repeat():
    one, same, other = (scenes.make_data(9, seed) for seed in (1, 1, 2))
    assert one["ids"].shape == (9, scenes.T) and one["pictures"].shape == (9, 3, 24, 24)
    assert one["kinds"].tolist() == [0, 1, 2] * 3
    assert [scenes.ANSWERS[i] for i in one["labels"]] == [answer for _, _, answer in one["rows"]]
    assert one["rows"] == same["rows"] and torch.equal(one["pictures"], same["pictures"])
    assert one["rows"] != other["rows"]


def test_scenes_of_another_set_are_left_out():
    first = scenes.make_data(60, seed=1)
    seen = {scene for scene, _, _ in first["rows"]}
    again = scenes.make_data(60, seed=1, without=seen)
    assert not seen & {scene for scene, _, _ in again["rows"]}


def test_a_thing_is_drawn_in_its_cell_and_colour():
    picture = scenes.draw((None, RED_SQUARE, None, None), np.random.default_rng(0))
    inked = (picture < 0.99).any(0)
    assert inked[:12, 12:].any() and inked.sum() == inked[:12, 12:].sum()
    darkest = picture[:, inked].min(1)
    assert np.allclose(darkest, scenes.RGB["red"], atol=0.02)


def test_kinds_and_answers():
    allowed = scenes.of_kind()
    assert allowed.shape == (3, len(scenes.ANSWERS)) and allowed.sum(1).tolist() == [2, 4, 4]
