"""Loads a model, generates a whole text, and streams another one piece by piece.

    python generate_and_stream.py [MODEL]
"""

import sys

from tercet import load_model

# %% Load a model and its tokenizer
model, tokenizer = load_model(sys.argv[1] if len(sys.argv) > 1 else "fairy-tales")
print(f"{model.name} on {model.isa}, {model.threads} threads\n")

# %% Generate a whole text
ids = tokenizer.encode("Once upon a time", return_tensors="np")
output = model.generate(ids, max_new_tokens=60, temperature=0.8, top_p=0.95, seed=1)
print(tokenizer.decode(output[0], skip_special_tokens=True))

# %% Stream a text piece by piece
print("\nThe dragon", end="")
stream = model.stream("The dragon", max_new_tokens=60, temperature=0.8, seed=2)
for text in stream:
    print(text, end="", flush=True)
print(f"\n[{len(stream.ids)} tokens, ended by {stream.stop}]")
