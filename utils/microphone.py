"""The learner's own voice: a microphone in the notebook, or a WAV file."""

import struct
import warnings
from math import gcd
from numbers import Real
from pathlib import Path

import anywidget
import numpy as np
import traitlets
from IPython.display import display
from scipy.io import wavfile
from scipy.signal import resample_poly

from utils import chat

RATE = 16_000  # samples a second, what Whisper hears

# What may go wrong is told in the browser, and sent to Python as well.
_SCRIPT = """
const tap = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process(inputs) {
    if (inputs[0][0]) this.port.postMessage(inputs[0][0].slice());
    return true;
  }
})`;
const reasons = {
  NotAllowedError: "The browser did not allow it. Allow the microphone for this page (the sign " +
    "beside its address), and press again.",
  NotFoundError: "There is no microphone. Plug one in and press again, or use a WAV file.",
  NotReadableError: "Another program holds the microphone. Close it there, and press again.",
};
async function record(seconds, say) {
  if (!navigator.mediaDevices || !window.AudioWorkletNode)
    throw new Error("This page may not use a microphone: open JupyterLab at localhost or by " +
      "https, in a browser of today, or use a WAV file.");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext();  // at the device's rate: Firefox takes no other
  try {
    const source = context.createMediaStreamSource(stream);
    const file = new Blob([tap], { type: "text/javascript" });
    await context.audioWorklet.addModule(URL.createObjectURL(file));
    const node = new AudioWorkletNode(context, "tap"), parts = [];
    node.port.onmessage = (event) => parts.push(event.data);
    source.connect(node);
    for (let left = Math.ceil(seconds); left > 0; left--) {
      say(`Listening, ${left} s …`);
      await new Promise((done) => setTimeout(done, 1000 * Math.min(1, seconds)));
    }
    const all = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
    let at = 0;
    for (const part of parts) { all.set(part, at); at += part.length; }
    if (!all.some((value) => value))  // a silent room is never as silent as this
      throw new Error("The microphone gave nothing, not even noise: it is muted. Switch it on " +
        "and press again, or use a WAV file.");
    return [all, context.sampleRate];
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
  }
}
export default { render({ model, el }) {
  const button = document.createElement("button"), said = document.createElement("span");
  button.textContent = "Record";
  button.className = "jupyter-button";
  button.style.marginRight = "1em";
  said.setAttribute("role", "status");
  said.textContent = "Nothing leaves this machine.";
  button.onclick = async () => {
    button.disabled = true;
    try {
      const say = (text) => { said.textContent = text; };
      const [sound, rate] = await record(model.get("seconds"), say);
      model.send({ kind: "sound", rate }, undefined, [sound.buffer]);
      say(`${(sound.length / rate).toFixed(1)} s heard. Now run the next cell.`);
    } catch (error) {
      said.textContent = reasons[error.name] || error.message;
      model.send({ kind: "error", text: said.textContent });
    }
    button.disabled = false;
  };
  el.append(button, said);
} };
"""


class Microphone(anywidget.AnyWidget):
    """A button that records; afterwards `wave` holds the sound, float32 at 16,000 a second.

    `wave` is empty until something was recorded, and `error` says in a sentence what went wrong
    at the last try ("" if nothing did).
    """

    _esm = _SCRIPT
    seconds = traitlets.Float(5).tag(sync=True)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.wave, self.error = np.zeros(0, np.float32), ""
        self.on_msg(self._take)

    def _take(self, _, content, buffers):
        if content.get("kind") == "sound":
            samples = np.frombuffer(buffers[0], np.float32)
            self.wave, self.error = _at_our_rate(samples, int(content["rate"])), ""
        elif content.get("kind") == "error":
            self.error = str(content.get("text"))


def record(seconds: float = 5) -> Microphone:
    """Show a button that records from the microphone, where somebody is there to press it.

    Args:
        seconds: how long, more than 0 and at most 30 (what Whisper hears at once).

    Returns:
        The widget; its `wave` fills when the button was pressed.

    Raises:
        ValueError: too short or too long.
    """
    if not isinstance(seconds, Real) or not 0 < seconds <= 30:
        raise ValueError(f"{seconds!r} seconds: record more than 0 and at most 30")
    microphone = Microphone(seconds=float(seconds))
    if chat.somebody_is_there():
        display(microphone)
    return microphone


def read(file: str | Path, seconds: float = 30) -> np.ndarray:
    """A WAV file as Whisper wants it: one channel, 16,000 samples a second, from -1 to 1.

    Args:
        file: its path; any rate, any number of channels (their mean is taken), whole numbers of
            8, 16, 24 or 32 bits or floats.
        seconds: the longest sound that is allowed.

    Returns:
        The wave, float32 `(n_samples,)`; made softer where it went beyond -1 or 1.

    Raises:
        ValueError: there is no such file, or it is no WAV file, empty, silent or too long.
    """
    file = Path(file).expanduser()
    if not file.is_file():
        raise ValueError(f"There is no file {file}. Give the path of a WAV file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that hold no sound
            warnings.filterwarnings("error", "Reached EOF prematurely")
            rate, samples = wavfile.read(file)
    except wavfile.WavFileWarning as error:
        raise ValueError(
            f"{file.name} ends too soon: it was not copied whole. Copy it again."
        ) from error
    except (ValueError, ArithmeticError, EOFError, OSError, struct.error) as error:
        raise ValueError(
            f"{file.name} is not a WAV file that can be read ({error}). Save it as WAV (PCM)."
        ) from error
    if not 4_000 <= rate <= 400_000:
        raise ValueError(
            f"{file.name} says that it has {rate:,} samples a second: it is damaged. Save it once "
            "more as WAV (PCM)."
        )
    if not samples.size:
        raise ValueError(f"{file.name} holds no sound. Record it once more.")
    if len(samples) > seconds * rate:
        raise ValueError(
            f"{file.name} is {len(samples) / rate:.0f} seconds long, and at most {seconds:g} are "
            "heard at once. Cut it into pieces at its pauses."
        )
    if samples.dtype == np.uint8:
        samples = samples.astype(np.float32) / 128 - 1
    elif np.issubdtype(samples.dtype, np.integer):  # 24 bits come as the upper part of 32
        samples = samples / -float(np.iinfo(samples.dtype).min)
    if samples.ndim == 2:
        samples = samples.mean(1)
    if not np.isfinite(samples).all() or not np.abs(samples).max() > 0:
        raise ValueError(f"{file.name} is silent, or broken. Record it once more.")
    return _at_our_rate(samples, rate)


def _at_our_rate(samples: np.ndarray, rate: int) -> np.ndarray:
    step = gcd(RATE, rate)
    wave = resample_poly(samples, RATE // step, rate // step)
    return (wave / max(1, np.abs(wave).max(initial=0))).astype(np.float32)
