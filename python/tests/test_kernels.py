"""Single kernels, single layers, and the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tercet

RANDOM = np.random.default_rng(1)


@pytest.mark.parametrize("packing", ["2bit", "1.6bit"])
@pytest.mark.parametrize("isa", tercet.cpu().isas)
def test_kernels_are_exact(isa: str, packing: str) -> None:
    weights = RANDOM.integers(-1, 2, (75, 130), np.int8)
    activations = RANDOM.integers(-128, 128, (9, 130), np.int8)
    expected = activations.astype(np.int32) @ weights.T.astype(np.int32)
    for tokens in (1, 4, 128):
        kernel = tercet.Kernel(isa, packing, tokens=tokens)
        assert (kernel.isa, kernel.packing, kernel.epilogue, kernel.runs_here) == (isa, packing, "i32", True)
        product = kernel(weights, activations)
        assert product.dtype == np.int32 and (product == expected).all()
        assert (kernel(weights, activations[3]) == expected[3]).all()
        assert (kernel(weights.T.copy().T, activations[::2].tolist()) == expected[::2]).all()
    floats = tercet.Kernel(isa, packing, epilogue="f32")(weights, activations)
    assert floats.dtype == np.float32 and (floats == expected).all()


def test_a_kernel_is_disassembled_on_any_cpu() -> None:
    kernel = tercet.Kernel("neon-dot", "2bit", "m4n16u1")
    assert kernel.name.startswith("neon-dot/2bit/x1/m4n16u1/") and kernel.tile == "m4n16u1"
    assert "sdot" in kernel.disassemble() and kernel.code is not None and len(kernel.code) % 4 == 0
    assert sum(kernel.loop_mix().values()) > 4
    assert tercet.Kernel(kernel.name).code == kernel.code
    portable = tercet.Kernel("portable")
    assert portable.code is None and portable.loop_mix() == {} and portable.runs_here
    if not kernel.runs_here:
        with pytest.raises(ValueError, match="this CPU has no neon-dot"):
            kernel(np.ones((16, 16), np.int8), np.ones(16, np.int8))


def test_a_kernel_is_timed() -> None:
    kernel = tercet.Kernel()
    seconds = kernel.time(256, 512, budget=0.01)
    assert 0 < seconds < 0.1
    assert kernel.time(256, 512, m=64, threads=2, budget=0.01) > 0


def test_a_layer_rounds_its_input_as_bitnet_does() -> None:
    weights = RANDOM.integers(-1, 2, (40, 96), np.int8)
    x = RANDOM.standard_normal((2, 3, 96)).astype(np.float32)
    layer = tercet.TernaryLinear(weights, 0.25, threads=2)
    assert layer.shape == (40, 96) and 0 < layer.nbytes < 40 * 96 and layer.isa == tercet.cpu().isas[0]
    s = 127 / np.abs(x).max(-1, keepdims=True)
    expected = np.round(x * s) / s @ (0.25 * weights.T)
    found = layer(x)
    assert found.dtype == np.float32 and found.shape == (2, 3, 40)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (layer(x[0, 1].astype(np.float64)) == found[0, 1]).all()
    assert layer(np.zeros((0, 96))).shape == (0, 40)


def test_layers_with_several_scales_and_with_float_activations() -> None:
    weights = RANDOM.integers(-1, 2, (20, 128), np.int8)
    x = RANDOM.standard_normal((5, 128)).astype(np.float32)
    for scales in (RANDOM.random(20), RANDOM.random((20, 4)), RANDOM.random((20, 1))):
        whole = np.repeat(scales.reshape(20, -1), 128 // scales.reshape(20, -1).shape[1], axis=1)
        exact = tercet.TernaryLinear(weights, scales, mode="exact", activations="f32")
        np.testing.assert_allclose(exact(x), x @ (whole * weights).T, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(tercet.TernaryLinear(weights, scales)(x), exact(x), atol=0.2)
    floats = RANDOM.standard_normal((20, 128))
    magnitude = np.abs(floats).mean()
    rounded = tercet.TernaryLinear.round(floats, mode="exact", activations="f32")
    trits = np.clip(np.round(floats / magnitude), -1, 1)
    np.testing.assert_allclose(rounded(x), x @ (magnitude * trits).T, rtol=1e-4, atol=1e-4)


def test_the_cpu_is_described() -> None:
    cpu = tercet.cpu()
    assert cpu.isas[-1] == "portable" and cpu.logical >= cpu.threads >= 1
    assert all(level >= 1 and size > 0 for level, kind, size in cpu.caches)


def test_tuning_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERCET_CACHE_DIR", str(tmp_path))
    found = tercet.tune(shapes=[(64, 128)], budget=0.1)
    assert [(tuned.n, tuned.k, tuned.m) for tuned in found] == [(64, 128, m) for m in (1, 2, 8, 128)]
    assert all(tercet.Kernel(tuned.winner).runs_here and tuned.seconds > 0 for tuned in found)
    assert (tmp_path / "tuning.json").exists()
    assert len(tercet.tune("fairy-tales", budget=0.1)) == 16


def test_errors_name_the_bad_argument() -> None:
    ones, row = np.ones((4, 8), np.int8), np.ones(8, np.int8)
    cases: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (ValueError, "isa", lambda: tercet.Kernel("mmx")),
        (ValueError, "tile", lambda: tercet.Kernel(tile="big")),
        (ValueError, "vector registers", lambda: tercet.Kernel("avx2", "2bit", "m15n16u1")),
        (ValueError, "kernel spec", lambda: tercet.Kernel("avx2/2bit")),
        (ValueError, "columns", lambda: tercet.Kernel()(ones, np.ones(9, np.int8))),
        (ValueError, "ternary|within|weight", lambda: tercet.Kernel()(ones * 3, row)),
        (TypeError, "whole numbers", lambda: tercet.Kernel()(ones, row * 0.5)),
        (ValueError, "within -128", lambda: tercet.Kernel()(ones, np.full(8, 300))),
        (ValueError, "budget", lambda: tercet.Kernel().time(64, 64, budget=-1.0)),
        (ValueError, "0 is out of range", lambda: tercet.Kernel().time(64, 64, m=0)),
        (ValueError, "-1, 0 and 1", lambda: tercet.TernaryLinear(ones * 2)),
        (TypeError, "round", lambda: tercet.TernaryLinear(ones * 0.5)),
        (ValueError, "2 dimensions", lambda: tercet.TernaryLinear(row)),
        (ValueError, "scale has shape", lambda: tercet.TernaryLinear(ones, np.ones(3))),
        (ValueError, "last dimension", lambda: tercet.TernaryLinear(ones)(np.ones(9))),
        (ValueError, "finite", lambda: tercet.TernaryLinear.round(ones * np.nan)),
        (ValueError, "exact mode", lambda: tercet.TernaryLinear(ones, activations="f32")),
        (TypeError, "unexpected keyword", lambda: tercet.TernaryLinear(ones, thread=2)),  # type: ignore[call-arg]
        (ValueError, "budget", lambda: tercet.tune(shapes=[(64, 64)], budget=float("nan"))),
        (FileNotFoundError, "nowhere", lambda: tercet.tune("/nowhere")),
    ]
    for error, match, call in cases:
        with pytest.raises(error, match=match):
            call()
