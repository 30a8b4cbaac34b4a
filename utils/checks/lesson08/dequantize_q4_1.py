"""Exercise 8.7 (stretch), `dequantize_q4_1`: its oracle, inputs, mistakes and hints."""

import struct

import numpy as np
import torch

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded


def _dequantize_q4_1(block):
    import gguf

    if len(block) != 20:
        raise ValueError(f"a Q4_1 block has 20 bytes, not {len(block)}")
    kind = gguf.GGMLQuantizationType.Q4_1
    return gguf.dequantize(np.frombuffer(block, dtype=np.uint8), kind)


def _halves(low, high):
    return np.concatenate([low, high])


def _in_turn(low, high):
    return np.stack([low, high], axis=1).ravel()


def _affine(d, m, q):
    return np.float32(d) * q.astype(np.float32) + np.float32(m)


def _block(
    scales=lambda block: np.frombuffer(block[:4], dtype="<f2"),
    nibbles=lambda packed: (packed & 0x0F, packed >> 4),
    order=_halves,
    weight=_affine,
    checked=True,
):
    """Dequantisation with one step replaced."""

    def mutant(block):
        if checked and len(block) != 20:
            raise ValueError
        d, m = scales(block)
        low, high = nibbles(np.frombuffer(block[4:20], dtype=np.uint8))
        return weight(d, m, order(low, high))

    return mutant


def _with_struct(block):
    struct.unpack("<ee16B", block)
    return _dequantize_q4_1(block)


def _signed(q):
    return q.astype(np.int8) - 16 * (q > 7).astype(np.int8)


def _of_float16(d, m, q):
    return (np.float16(d) * q.astype(np.float16) + np.float16(m)).astype(np.float32)


def _of_bytes(answer, block):
    """The weights and their type; of a block with another length only whether it is refused."""
    block = bytes.fromhex(block)
    if len(block) != 20:
        try:
            found = answer(block)
        except (ValueError, NotImplementedError):
            raise
        except Exception:
            return "nothing: it stops with another type of error"
        return found if found is None else "weights"
    found = answer(block)
    if not hasattr(found, "dtype"):
        return found
    return Seen({"result": found, "type": f"{type(found).__name__} of {found.dtype}"})


def _case(d, m, packed, **options):
    block = (struct.pack("<ee", d, m) + bytes(packed)).hex()
    return Case(block=block, label=f'dequantize_q4_1(bytes.fromhex("{block}"))', **options)


def _drawn(seed, d, m, length=16, **options):
    draw = np.random.default_rng(seeded(seed))
    d, m = (float(np.float16(x * draw.uniform(0.5, 2))) for x in (d, m))
    return _case(d, m, draw.integers(0, 256, length).tolist(), **options)


dequantize_q4_1 = Exercise(
    number="8.7",
    name="dequantize_q4_1",
    oracle=_dequantize_q4_1,
    compared_with="the `gguf` library's `dequantize`",
    probe=_of_bytes,
    cases=lambda: [
        _drawn(1, 0.0137, -0.103),
        _case(0.5, -2.0, [0x3A, *[0x00] * 15]),
        _drawn(2, 1.3, -9.7),
        _drawn(3, 0.21, 0.013),
        _case(1.0, 0.0, [*range(16)]),
        _case(0.0, 0.75, [0xA5] * 16),
        _case(-0.1, 0.3, [0xF0] * 16),
        _case(8192.0, -60000.0, [0xFF, 0x10] * 8),  # its products are too large for float16
        _case(6e-8, 6e-5, [0x3C] * 16),  # the smallest that float16 can hold
        _drawn(4, 0.3, -1.1, length=15, raises=ValueError),
        _drawn(5, 0.3, -1.1, length=17, raises=ValueError),
        _drawn(6, 0.3, -1.1, length=36, raises=ValueError),
        _drawn(7, 0.3, -1.1, length=0, raises=ValueError),
        Case(block="", label='dequantize_q4_1(b"")', raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "nibbles_swapped",
            "The halves are swapped: the *low* four bits of the bytes are weights 0 to 15, the "
            "high ones weights 16 to 31.",
            _block(order=lambda low, high: _halves(high, low)),
        ),
        Mistake(
            "interleaved",
            "The two weights of a byte come out side by side. Byte `j` holds the weights `j` and "
            "`j + 16`: first all low halves, then all high ones (`np.concatenate`).",
            _block(order=_in_turn),
        ),
        Mistake(
            "interleaved_and_swapped",
            "Each byte's weights come out side by side, the high half first. Byte `j` holds weight "
            "`j` in its low half and weight `j + 16` in its high half: first all low halves, then "
            "all high ones.",
            _block(order=lambda low, high: _in_turn(high, low)),
        ),
        Mistake(
            "minus_8",
            "You subtract 8 from each nibble. That is Q4_0, which keeps no minimum; Q4_1 has one, "
            "`m`, and a nibble counts from 0.",
            _block(weight=lambda d, m, q: _affine(d, m, q.astype(np.int8) - 8)),
        ),
        Mistake(
            "q4_0",
            "That is the formula of Q4_0, `d * (nibble - 8)`. Q4_1 keeps the smallest weight of "
            "the block: `d * nibble + m`.",
            _block(weight=lambda d, m, q: _affine(d, 0, q.astype(np.int8) - 8)),
        ),
        Mistake(
            "minimum_forgotten",
            "The minimum `m` is not added: `d * nibble + m`.",
            _block(weight=lambda d, m, q: _affine(d, 0, q)),
        ),
        Mistake(
            "minimum_subtracted",
            "You subtract `m`. It is the block's smallest weight, sign and all: add it.",
            _block(weight=lambda d, m, q: _affine(d, -m, q)),
        ),
        Mistake(
            "minimum_scaled_too",
            "You add `m` before you multiply, so it is scaled as well: `d * nibble + m`, without "
            "brackets around the sum.",
            _block(weight=lambda d, m, q: np.float32(d) * (q + np.float32(m))),
        ),
        Mistake(
            "scale_and_minimum_swapped",
            "Scale and minimum are swapped: bytes 0 and 1 are `d`, bytes 2 and 3 are `m`.",
            _block(weight=lambda d, m, q: _affine(m, d, q)),
        ),
        Mistake(
            "big_endian",
            "The two numbers are read with their first byte as the high one. GGUF is little "
            'endian: dtype `"<f2"`, or `"<e"` for `struct`.',
            _block(scales=lambda block: np.frombuffer(block[:4], dtype=">f2")),
        ),
        Mistake(
            "scales_as_integers",
            'The bits of `d` and `m` are taken for whole numbers. They are float16: dtype `"<f2"`.',
            _block(scales=lambda block: np.frombuffer(block[:4], dtype="<u2")),
        ),
        Mistake(
            "scales_as_bfloat16",
            "The bits of `d` and `m` are taken for bfloat16. They are float16, which has more "
            'digits and less range: dtype `"<f2"`.',
            _block(
                scales=lambda block: (
                    np.frombuffer(block[:4], dtype="<u2").astype(np.uint32) << 16
                ).view(np.float32)
            ),
        ),
        Mistake(
            "scale_read_twice",
            "`m` is read from the same two bytes as `d`. It stands behind it, in bytes 2 and 3.",
            _block(scales=lambda block: np.frombuffer(block[:2] * 2, dtype="<f2")),
        ),
        Mistake(
            "high_nibble_not_shifted",
            "The high halves come out 16 times too large: masked with `0xF0`, they still stand in "
            "the upper place. Shift them down: `byte >> 4`.",
            _block(nibbles=lambda packed: (packed & 0x0F, packed & 0xF0)),
        ),
        Mistake(
            "low_nibble_not_masked",
            "The low halves still carry the high ones: keep only four bits, `byte & 0x0F`.",
            _block(nibbles=lambda packed: (packed, packed >> 4)),
        ),
        Mistake(
            "signed_nibbles",
            "You take the nibbles for signed numbers, -8 to 7. They run from 0 to 15.",
            _block(weight=lambda d, m, q: _affine(d, m, _signed(q))),
        ),
        Mistake(
            "low_nibbles_only",
            "There are only 16 weights: each byte holds two. The high four bits of byte `j` are "
            "weight `j + 16`.",
            _block(order=lambda low, high: low),
        ),
        Mistake(
            "float16_arithmetic",
            "You compute in float16, and its few digits are rounded away at each step (a large one "
            "even becomes `inf`). Turn `d` and `m` into float32 before you multiply.",
            _block(weight=_of_float16),
        ),
        Mistake(
            "returns_float16",
            "What comes back is float16. The exercise asks for float32: turn `d` and `m` into "
            "float32 before you multiply.",
            _block(weight=lambda d, m, q: np.float16(d) * q.astype(np.float16) + np.float16(m)),
        ),
        Mistake(
            "returns_float64",
            "The numbers are right, but in float64, twice the memory. Return float32: "
            "`.astype(np.float32)`.",
            _block(weight=lambda d, m, q: float(d) * q.astype(np.float64) + float(m)),
        ),
        Mistake(
            "length_not_checked",
            "Right for 20 bytes. Of a block with another length you return numbers that mean "
            "nothing: raise a `ValueError` if `len(block)` is not 20.",
            _block(checked=False),
        ),
        Mistake(
            "another_error",
            "Right for 20 bytes. For another length it stops, but with an error of another type: "
            "raise a `ValueError` yourself, before you read anything.",
            _with_struct,
        ),
        Mistake(
            "returns_a_tensor",
            "The numbers are right, but they come back as a PyTorch tensor. Return a NumPy array: "
            "`.numpy()` at the end.",
            lambda block: torch.from_numpy(_dequantize_q4_1(block)),
        ),
    ],
    hints=[
        'Three parts: two float16 numbers, `np.frombuffer(block[:4], dtype="<f2")`, and the '
        "packed bytes, `np.frombuffer(block[4:], dtype=np.uint8)`.",
        "`packed & 0x0F` keeps the low four bits, `packed >> 4` the high ones. "
        "`np.concatenate([low, high])` puts weight `j + 16` in its place.",
        "`d.astype(np.float32) * nibbles + m.astype(np.float32)`, and before everything else a "
        "`ValueError` if `len(block) != 20`.",
    ],
)
