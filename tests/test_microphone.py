"""The learner's own voice: what comes from the browser, and WAV files of every kind."""

import numpy as np
import pytest
from scipy.io import wavfile

from utils import microphone

TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)


def test_a_recording_arrives_and_an_error_keeps_it():
    widget = microphone.record(seconds=2)
    assert len(widget.wave) == 0 and widget.seconds == 2
    sound = TONE.astype(np.float32)
    widget._handle_custom_msg({"kind": "sound"}, [memoryview(sound.tobytes())])
    assert np.array_equal(widget.wave, sound) and widget.error == ""
    widget._handle_custom_msg({"kind": "error", "text": "There is no microphone."}, [])
    assert widget.error == "There is no microphone." and len(widget.wave) == 16_000


@pytest.mark.parametrize("seconds", [0, -1, 31])
def test_how_long_one_may_record(seconds):
    with pytest.raises(ValueError, match="at most 30"):
        microphone.record(seconds)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_wav_becomes_the_same_wave(tmp_path, rate, kind, channels):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    if kind == "uint8":
        samples = (128 + 128 * tone).astype(np.uint8)
    elif kind.startswith("int"):
        samples = (tone * np.iinfo(kind).max).astype(kind)
    else:
        samples = tone.astype(kind)
    if channels == 2:
        samples = np.stack([samples, samples], 1)
    wavfile.write(tmp_path / "a.wav", rate, samples)
    wave = microphone.read(tmp_path / "a.wav")
    assert wave.dtype == np.float32 and wave.shape == (16_000,)
    assert np.abs(wave - TONE)[200:-200].max() < 0.02


def test_what_cannot_be_heard_is_told(tmp_path):
    def written(name, samples, rate=16_000):
        wavfile.write(tmp_path / name, rate, samples)
        return tmp_path / name

    with pytest.raises(ValueError, match="There is no file"):
        microphone.read(tmp_path / "none.wav")
    (tmp_path / "text.wav").write_text("no sound at all")
    with pytest.raises(ValueError, match="Save it as WAV"):
        microphone.read(tmp_path / "text.wav")
    (tmp_path / "nothing.wav").write_bytes(b"")
    with pytest.raises(ValueError, match="Save it as WAV"):
        microphone.read(tmp_path / "nothing.wav")
    with pytest.raises(ValueError, match="no sound"):
        microphone.read(written("empty.wav", np.zeros(0, np.int16)))
    with pytest.raises(ValueError, match="silent"):
        microphone.read(written("silent.wav", np.zeros(100, np.int16)))
    with pytest.raises(ValueError, match="silent, or broken"):
        microphone.read(written("nan.wav", np.full(100, np.nan, np.float32)))
    long = written("long.wav", np.ones(31 * 8_000, np.int16), 8_000)
    with pytest.raises(ValueError, match="31 seconds long.*Cut it"):
        microphone.read(long)
