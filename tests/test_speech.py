"""The synthesiser: repeatable, kept, and clear about what it cannot do."""

import numpy as np
import pytest

from utils import models, speech

ASKED = [("seven", "f2", 160, 50), ("three", "m1", 200, 40), ("seven", "m1", 160, 50)]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache for what is spoken; the synthesiser itself stays where it is."""
    real = models.path("espeak-ng")
    (tmp_path / "espeak-ng").symlink_to(real)
    monkeypatch.setattr(models, "path", lambda name: str(tmp_path / "espeak-ng"))
    return tmp_path / "speech"


def test_words_are_spoken_and_kept(cache, monkeypatch):
    waves = speech.speak(ASKED)
    assert [w.dtype for w in waves] == [np.float32] * 3
    assert all(0.2 < len(w) / 11_025 < 1.5 and 0.05 < abs(w).max() <= 1 for w in waves)
    assert not np.array_equal(waves[0], waves[2][: len(waves[0])])
    (file,) = cache.glob("*.npz")
    monkeypatch.setattr(speech, "_spoken", lambda *_: pytest.fail("spoken again"))
    again = speech.speak(ASKED)
    assert all(map(np.array_equal, waves, again))


def test_what_is_kept_and_damaged_is_spoken_again(cache):
    waves = speech.speak(ASKED)
    (file,) = cache.glob("*.npz")
    file.write_bytes(file.read_bytes()[:200])
    again = speech.speak(ASKED)
    assert all(map(np.array_equal, waves, again))
    assert not [*cache.glob("*.tmp")]


def test_the_end_of_a_word_is_not_lost(cache):
    """With short buffers eSpeak loses it; then "three" would end at exactly 0.4 s."""
    (wave,) = speech.speak([("three", "m1", 160, 50)], rate=22_050)
    assert len(wave) % 4410
    assert abs(wave[-220:]).max() < 0.05 < abs(wave).max()


def test_rates(cache):
    lengths = [len(speech.speak(ASKED[:1], rate)[0]) / rate for rate in (11_025, 16_000, 22_050)]
    assert max(lengths) - min(lengths) < 1e-3
    assert speech.speak([]) == []


def test_voices_are_apart_and_there(cache):
    groups = [set(names) for names in speech.VOICES.values()]
    assert sum(map(len, groups)) == len(set.union(*groups))
    every = [("one", voice, 160, 50) for names in speech.VOICES.values() for voice in names]
    assert len(speech.speak(every)) == len(every)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (("one", "nobody", 160, 50), "no voice 'nobody'"),
        (("  ", "f2", 160, 50), "empty"),
        (("one", "f2", 1000, 50), "out of range"),
        (("one", "f2", 160, -1), "out of range"),
        (("…", "f2", 160, 50), "nothing can be heard"),
    ],
)
def test_what_cannot_be_spoken(cache, request_, said):
    with pytest.raises(speech.SpeechError, match=said):
        speech.speak([request_])


def test_a_cache_that_cannot_be_written_is_no_fault(cache):
    cache.write_text("a file stands where the folder should be")
    assert len(speech.speak(ASKED)) == 3
