from datetime import date

import numpy as np
import pytest
import torch

from utils import data


def test_the_standard_library_describes_itself():
    docs = data.standard_library()
    assert 900 < len(docs) < 2000
    for name in (
        "shutil.copytree",
        "heapq.nlargest",
        "statistics.median",
        "os.path.join",
        "time.sleep",
    ):
        assert name in docs
    assert all(said and "\n" not in said and len(said) <= 200 for said in docs.values())
    assert not any(name.endswith("Error") for name in docs)


def test_written_dates():
    pairs = data.written_dates(3000, seed=1)
    assert pairs == data.written_dates(3000, seed=1) != data.written_dates(3000, seed=2)
    assert all(date.fromisoformat(iso).isoformat() == iso for _, iso in pairs)
    meaning = {}
    for text, iso in data.written_dates(50_000, seed=3):
        assert meaning.setdefault(text, iso) == iso  # never two dates for one text


@pytest.mark.parametrize(
    ("day", "written"),
    [
        (date(1984, 5, 3), "third of may nineteen eighty-four"),
        (date(2007, 12, 21), "december twenty-first, two thousand seven"),
        (date(2000, 1, 30), "thirtieth of january two thousand"),
        (date(2020, 2, 12), "feb 12th 2020"),
        (date(2049, 8, 22), "22-aug-49"),
        (date(1951, 11, 30), "30.11.1951"),
    ],
)
def test_the_forms_of_a_date(day, written):
    assert written in data._forms(day)


def test_icons():
    names = data.icon_names()
    assert len(names) == 7447 and "account-arrow-down" in names
    cat = data.icon("cat", 24)
    assert cat.shape == (24, 24) and cat.dtype == np.float32
    assert 0.2 < cat.mean() < 0.8 and cat.min() == 0 and cat.max() == 1
    with pytest.raises(ValueError, match="no icon called 'no-such-icon'"):
        data.icon("no-such-icon", 24)


def test_a_scene_has_each_thing_somewhere_in_its_cell():
    ink, red = np.full((2, 3), 0.5, dtype=np.float32), (1, 0, 0)
    places = set()
    for seed in range(60):
        picture = data.scene([None, (ink, red), None], 5, np.random.default_rng(seed))
        assert picture.shape == (3, 10, 10) and picture.dtype == np.float32
        assert (picture[0] == 1).all() and (picture[1] == picture[2]).all()
        rows, columns = np.nonzero(picture[1] == 0.5)
        assert len(rows) == 6 and rows.max() < 5 <= columns.min()
        assert (picture[1] != 1).sum() == 6
        places.add((rows.min(), columns.min()))
    assert len(places) == 4 * 3  # every place that it can have


def test_a_scene_draws_what_fills_its_cell_and_nothing_larger():
    full = np.ones((4, 4), dtype=np.float32)
    picture = data.scene([(full, (0, 0.5, 1)), None], 4, np.random.default_rng(0))
    assert picture.shape == (3, 4, 8)
    assert picture[:, 3, 3].tolist() == [0, 0.5, 1] and (picture[:, :, 4:] == 1).all()
    with pytest.raises(ValueError, match="does not fit into a cell of 3 x 3"):
        data.scene([(full, (0, 0, 0))], 3, np.random.default_rng(0))


def test_a_vocabulary_has_the_commonest_words_first():
    texts = ["a b a".split(), "c b a".split(), ["d"]]
    whole = {"<pad>": 0, "<unk>": 1, "a": 2, "b": 3, "c": 4, "d": 5}
    assert data.vocabulary(texts) == whole
    assert list(data.vocabulary(texts, size=4)) == ["<pad>", "<unk>", "a", "b"]
    assert list(data.vocabulary(iter(texts), least=3)) == ["<pad>", "<unk>", "a"]


def test_word_ids_are_cut_filled_up_and_unknown():
    vocab = {"<pad>": 0, "<unk>": 1, "a": 2, "b": 3}
    ids = data.word_ids(["a b x a".split(), ["b"], []], vocab, 3)
    assert ids.dtype == torch.int64 and ids.tolist() == [[2, 3, 1], [3, 0, 0], [0, 0, 0]]
    assert data.word_ids([], vocab, 3).shape == (0, 3)


def test_python_has_its_reference_and_its_sources_with_it():
    topics = data.python_topics()
    assert len(topics) > 60 and sum(map(len, topics.values())) > 300_000
    assert "suite" in topics["if"] and list(topics) == sorted(topics)
    modules = data.python_modules(largest=10_000)
    assert len(modules) > 30 and sum(map(len, modules.values())) > 150_000
    assert "def insort_right" in modules["bisect"] and "argparse" not in modules
    with pytest.raises(ValueError, match="no module of at most 1 bytes"):
        data.python_modules(largest=1)


def test_small_programs_are_told_from_wrong_ones():
    programs = data.small_programs()
    assert len({signature for signature, _, _ in programs}) == 22
    for signature, does, test in programs:
        name = signature.split("(")[0]
        assert does.split()[0] in ("returns", "converts") and f"{name}(" in test
        for answer in (None, 0, "", [], True):  # always the same: it does not pass
            wrong = {name: lambda *_, answer=answer: answer}
            try:
                passed = eval(test, {**wrong, "abs": abs})
            except TypeError:  # None - 100
                passed = False
            assert not passed, (name, answer)


def test_small_stories_tell_where_and_what():
    stories = data.small_stories(20)
    assert len({report for report, _, _ in stories}) == 20 <= len(set(data.people()))
    assert all(f" in {place}." in report and f" {did} " in report for report, place, did in stories)


def test_everyday_questions_are_held_out_and_can_be_checked():
    questions = data.everyday_questions()
    training, held_out = questions["training"], questions["held out"]
    asked = [question for question, _ in held_out]
    assert (len(set(training)), len(set(asked))) == (24, 54) and not set(training) & set(asked)
    assert all(question.endswith("?") for question in training + asked)
    assert sum(bool(words) for _, words in held_out) == 21
    for question, words in held_out:  # the word that tells must not stand in the question
        assert not any(word.lower() in question.lower().split() for word in words), question
