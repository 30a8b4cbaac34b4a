"""The learner's own voice: what comes from the browser, and WAV files of every kind."""

import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from utils import microphone

TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)


def send(widget, sound, rate):
    sound = memoryview(sound.astype(np.float32).tobytes())
    widget._handle_custom_msg({"kind": "sound", "rate": rate}, [sound])


def test_a_recording_arrives_and_an_error_keeps_it():
    widget = microphone.record(seconds=2)
    assert len(widget.wave) == 0 and widget.seconds == 2
    send(widget, TONE, 16_000)
    assert np.array_equal(widget.wave, TONE.astype(np.float32)) and widget.error == ""
    widget._handle_custom_msg({"kind": "error", "text": "There is no microphone."}, [])
    assert widget.error == "There is no microphone." and len(widget.wave) == 16_000


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_a_sound_at_the_rate_of_the_device_is_changed(rate):
    widget = microphone.record()
    send(widget, 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate), rate)
    assert widget.wave.dtype == np.float32 and widget.wave.shape == (16_000,)
    assert np.abs(widget.wave - TONE)[200:-200].max() < 0.02


@pytest.mark.parametrize("seconds", [0, -1, 31, float("nan"), "5", None])
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


def test_what_is_too_loud_stays_within_one(tmp_path):
    for samples, rate in [(3 * TONE, 16_000), (np.sign(TONE), 44_100)]:  # resampling overshoots
        wavfile.write(tmp_path / "a.wav", rate, samples.astype(np.float32))
        assert 0.99 < abs(microphone.read(tmp_path / "a.wav")).max() <= 1


def test_twenty_four_bits(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 3, 16_000, 0, "NONE", ""))
        whole = (TONE * (2**23 - 1)).astype("<i4")[:, None].view(np.uint8)
        file.writeframes(whole[:, :3].tobytes())
    assert np.abs(microphone.read(tmp_path / "a.wav") - TONE).max() < 1e-3


def test_a_damaged_file_is_told_and_a_mark_in_it_does_no_harm(tmp_path, recwarn):
    file = tmp_path / "a.wav"
    wavfile.write(file, 16_000, (TONE * 32_767).astype(np.int16))
    good = file.read_bytes()
    file.write_bytes(good + b"cue " + struct.pack("<I", 4) + b"mark")
    assert len(microphone.read(file)) == 16_000 and not recwarn.list
    for damaged, sentence in [
        (good[:20_000], "ends too soon: it was not copied whole. Copy it again"),
        (good[:30], "Save it as WAV"),
        (good[:20] + b"\x55\0" + good[22:], "Save it as WAV"),  # MP3 within a WAV
        (good[:24] + bytes(8) + good[32:], "0 samples a second"),
        (b"ID3\4" + bytes(100), "Save it as WAV"),  # an MP3 under another name
    ]:
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=sentence):
            microphone.read(file)


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
