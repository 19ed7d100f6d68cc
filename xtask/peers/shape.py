"""The shape of BitNet b1.58 2B-4T, and random weights of that shape."""

import numpy as np

LAYERS = 30
HIDDEN = 2560
INTERMEDIATE = 6912
HEADS = 20
KV_HEADS = 5
HEAD_SIZE = 128
VOCABULARY = 128_256
CONTEXT = 4096
ROPE_BASE = 500_000.0
EPSILON = 1e-5
WEIGHT_SCALE = 0.02

# The matrices of a layer: output features, input features.
MATRICES = {
    "q": (HIDDEN, HIDDEN),
    "k": (KV_HEADS * HEAD_SIZE, HIDDEN),
    "v": (KV_HEADS * HEAD_SIZE, HIDDEN),
    "o": (HIDDEN, HIDDEN),
    "gate": (INTERMEDIATE, HIDDEN),
    "up": (INTERMEDIATE, HIDDEN),
    "down": (HIDDEN, INTERMEDIATE),
}
NORMS = {"input": HIDDEN, "attention_sub": HIDDEN, "feed_forward": HIDDEN, "feed_forward_sub": INTERMEDIATE}


def codes(rows, columns):
    """Returns random ternary weights plus one: 0, 1 and 2 with equal probability."""
    return np.random.default_rng(rows * columns).integers(0, 3, (rows, columns), dtype=np.uint8)
