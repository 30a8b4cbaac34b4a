from datetime import date

import numpy as np
import pytest

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
