"""Speech without a microphone: the synthesiser eSpeak NG, in a process of its own.

`speak([("seven", "f2", 160, 50)])` gives a wave for each request. The library crashes in programs
with several threads, so `python -m utils.speech` runs it apart. The same list of requests gives the
same waves on the same machine, and is kept in the cache folder: the second time costs nothing.
"""

import ctypes
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

from utils import models

SAMPLES = 22_050  # a second, as the synthesiser makes them
_SYNCHRONOUS, _UTF_8, _SPEED, _PITCH = 2, 1, 1, 3  # eSpeak's numbers for these
_AUDIBLE = 300  # of 32,768
_LONGEST_BUFFER = 20_000  # ms: with a short one the end of an utterance is lost

# Variants of one American English voice. Near twins are kept out of different groups.
VOICES = {
    "training": """adam Alex Andy Annie antonio belinda caleb croak david Denis Diogo ed edward f1
        f3 f4 f5 gustave ian iven iven2 iven3 Jacky john klatt klatt3 linda m1 m2 m4 m5 m7 marcelo
        Mario Nguyen norbert pablo paul robosoft2 robosoft4 robosoft6 robosoft7 sandro Storm
        Tweaky""".split(),
    "validation": "iven4 m3 max rob robosoft8 steph travis".split(),
    "held out": "Andrea Gene Mike anika aunty boris f2 grandma m8 pedro quincy victor".split(),
}

Request = tuple[str, str, int, int]


class SpeechError(RuntimeError):
    """Something cannot be spoken; the message says why and what to do next."""


def speak(requests: Sequence[Request], rate: int = 11_025) -> list[np.ndarray]:
    """Speak texts aloud, into arrays.

    Args:
        requests: (text, voice, speed, pitch) each: a voice of `VOICES` (or another variant that
            eSpeak NG has), 80 to 450 words a minute, a pitch from 0 to 100.
        rate: samples a second of the result.

    Returns:
        A wave for each request, float32 between -1 and 1: (samples,).

    Raises:
        SpeechError: a text or voice cannot be spoken.
        ModelError: the synthesiser can be neither found nor fetched.
    """
    asked = [
        (str(text), str(voice), int(speed), int(pitch)) for text, voice, speed, pitch in requests
    ]
    for text, voice, speed, pitch in asked:
        if not text.strip():
            raise SpeechError("A text is empty: give at least one word to speak.")
        if not (80 <= speed <= 450 and 0 <= pitch <= 100):
            raise SpeechError(
                f"Speed {speed} and pitch {pitch} for {voice!r} are out of range: choose 80 to 450 "
                "words a minute, and a pitch from 0 to 100."
            )
    if not asked:
        return []
    folder = Path(models.path("espeak-ng"))
    key = hashlib.sha256(json.dumps([models.SOURCES["espeak-ng"].requirement, asked]).encode())
    kept = folder.parent / "speech" / f"{key.hexdigest()[:24]}.npz"
    waves = _kept(kept, len(asked))
    if waves is None:
        waves = _spoken(asked, folder, kept)
    if rate != SAMPLES:
        divisor = np.gcd(rate, SAMPLES)
        waves = [resample_poly(w, rate // divisor, SAMPLES // divisor) for w in waves]
    return [w.astype(np.float32) for w in waves]


def by_voices(
    texts: Sequence[str], group: str, seed: int, each: int | None = None
) -> tuple[list[np.ndarray], list[int]]:
    """Texts spoken by several voices, at random speeds and pitches.

    Args:
        texts: what is said.
        group: a key of `VOICES`.
        seed: of voices, speeds (130 to 230 words a minute) and pitches (20 to 80).
        each: by how many voices each text is said; None: by all of the group.

    Returns:
        The waves, at 11,025 samples a second, and for each the place of its text.
    """
    lots, voices = np.random.default_rng(seed), VOICES[group]
    asked, which = [], []
    for i, text in enumerate(texts):
        for v in lots.permutation(len(voices))[:each]:
            speed, pitch = int(lots.integers(130, 231)), int(lots.integers(20, 81))
            asked.append((text, voices[v], speed, pitch))
            which.append(i)
    return speak(asked), which


def recordings() -> list[tuple[np.ndarray, str, list[tuple[str, float]]]]:
    """Five sentences from "Sense and Sensibility", read by a volunteer of LibriVox.

    The recordings are in the public domain; cut and transcribed in the test data of CMU's
    PocketSphinx (`recordings/LICENSE`), whose forced alignment says when each word begins.

    Returns:
        For each sentence: the wave, float32 at 16,000 samples a second; the text; and pairs of a
        word and the second at which it begins.
    """
    folder = Path(__file__).parent / "recordings"
    found = []
    for one in json.loads((folder / "words.json").read_text("utf-8")):
        _, samples = wavfile.read(folder / one["file"])
        times = [(word, float(start)) for word, start in one["words"]]
        found.append((samples.astype(np.float32) / 32_768, one["text"], times))
    return found


def _kept(file: Path, n: int) -> list[np.ndarray] | None:
    """The waves of a file in the cache; None if it is not there, or not whole."""
    try:
        with np.load(file) as found:
            waves = np.split(found["samples"] / 32_768, np.cumsum(found["lengths"])[:-1])
            return (
                waves
                if len(waves) == n and found["lengths"].sum() == found["samples"].size
                else None
            )
    except Exception:  # missing, half-written, damaged: it is spoken again
        return None


def _spoken(asked: list[Request], folder: Path, kept: Path) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "asked.json").write_text(json.dumps(asked), "utf-8")
        environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            [sys.executable, "-m", "utils.speech", str(folder), work],
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode:
            said = (done.stderr.strip() or "no message").splitlines()[-1]
            raise SpeechError(
                said.removeprefix("utils.speech.SpeechError: ").removeprefix("SpeechError: ")
            )
        waves = _kept(Path(work) / "spoken.npz", len(asked))
        if waves is None:
            raise SpeechError("The synthesiser gave back nothing usable: run the cell once more.")
        _keep(Path(work) / "spoken.npz", kept)
    return waves


def _keep(file: Path, place: Path) -> None:
    """Put a file into the cache in one step; a cache that cannot be written is no fault."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        own = place.with_suffix(f".{os.getpid()}.tmp")
        own.write_bytes(file.read_bytes())
        own.replace(place)
    except OSError:
        pass


def _library(folder: Path) -> ctypes.CDLL:
    names = ("libespeak-ng.so", "libespeak-ng.dylib", "espeak-ng.dll", "libespeak-ng.dll")
    found = next((folder / name for name in names if (folder / name).exists()), None)
    if found is None:
        raise SpeechError(
            f"No library of the synthesiser in {folder}: delete that folder, and try again."
        )
    library = ctypes.CDLL(str(found))
    if library.espeak_Initialize(_SYNCHRONOUS, _LONGEST_BUFFER, str(folder).encode(), 0) != SAMPLES:
        raise SpeechError(f"The synthesiser does not start: delete {folder}, and try again.")
    return library


def _synthesise(asked: list[Request], folder: Path) -> list[np.ndarray]:
    """Runs in the other process: a wave of int16 for each request."""
    library, parts, waves, current = _library(folder), [], [], None
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
    )

    def collect(samples, n, _):
        if samples and n > 0:
            parts.append(np.ctypeslib.as_array(samples, (n,)).copy())
        return 0

    callback = kind(collect)  # a name of its own, or it would be thrown away
    library.espeak_SetSynthCallback(callback)
    for text, voice, speed, pitch in asked:
        if voice != current:
            # an unknown variant is no error to the library: it goes on with the voice before
            there = (folder / "espeak-ng-data" / "voices" / "!v" / voice).is_file()
            if not there or library.espeak_SetVoiceByName(f"en-us+{voice}".encode()):
                raise SpeechError(
                    f"The synthesiser has no voice {voice!r}: choose one of speech.VOICES."
                )
            current = voice
        library.espeak_SetParameter(_SPEED, speed, 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        library.espeak_ng_SetRandSeed(1)
        parts.clear()
        data = text.encode() + b"\0"
        library.espeak_Synth(data, len(data), 0, 1, 0, _UTF_8, None, None)
        library.espeak_Synchronize()
        wave = np.concatenate([*parts, np.zeros(1, np.int16)])
        if abs(wave.astype(int)).max() < _AUDIBLE:
            raise SpeechError(f"Of {text!r} nothing can be heard: give words.")
        waves.append(wave)
    library.espeak_Terminate()
    return waves


def main() -> None:
    """What the other process does: speak `asked.json` of a folder into its `spoken.npz`."""
    folder, work = map(Path, sys.argv[1:3])
    asked = [tuple(one) for one in json.loads((work / "asked.json").read_text("utf-8"))]
    waves = _synthesise(asked, folder)
    np.savez(work / "spoken.npz", samples=np.concatenate(waves), lengths=[len(w) for w in waves])


if __name__ == "__main__":
    main()
