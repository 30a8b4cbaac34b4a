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
