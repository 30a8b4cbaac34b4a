"""Whisper's weights, taken from a CTranslate2 file."""

import struct

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

from utils import models, speech, whisper_weights


@pytest.fixture(scope="module")
def folder():
    return models.path("whisper-tiny.en")


@pytest.fixture(scope="module")
def whisper(folder):
    return WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


def test_every_weight_has_its_place(folder):
    _, said = WhisperForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(said.values()), said


def test_it_writes_what_is_spoken(folder, whisper):
    text = "The capital of Austria is Vienna."
    (wave,) = speech.speak([(text, "klatt4", 150, 50)], rate=16_000)
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    features = extractor(np.pad(wave, 4800), sampling_rate=16_000, return_tensors="pt")
    ids = whisper.generate(features.input_features)
    written = WhisperTokenizer.from_pretrained(folder).decode(ids[0], skip_special_tokens=True)
    assert written.strip() == text


def test_the_positions_of_the_ear_are_sinusoids(whisper):
    """As OpenAI made them: sines in the first half, cosines in the second."""
    speeds = torch.exp(-torch.arange(192) * np.log(10_000) / 191)
    angles = torch.arange(1500)[:, None] * speeds
    wanted = torch.cat([angles.sin(), angles.cos()], 1)
    assert torch.allclose(whisper.model.encoder.embed_positions.weight, wanted, atol=2e-3)


def test_another_file_is_refused(tmp_path):
    name = b"TransformerSpec\0"
    (tmp_path / "model.bin").write_bytes(struct.pack("<IH", 6, len(name)) + name)
    with pytest.raises(ValueError, match="TransformerSpec"):
        whisper_weights.read_arrays(tmp_path / "model.bin")
