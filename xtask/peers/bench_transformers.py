"""Times a packed checkpoint in transformers, in bf16: bench_transformers.py DIR --threads N"""

import torch
from transformers import AutoModelForCausalLM

import bench
import shape

asked = bench.arguments()
torch.set_num_threads(asked.threads)
model = AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.bfloat16).eval()


def forward(tokens, past=None):
    ids = torch.tensor([tokens])
    with torch.inference_mode():
        return model(ids, past_key_values=past, use_cache=True, logits_to_keep=1).past_key_values


def prompt(count):
    forward(bench.tokens(count, shape.VOCABULARY))


def generate(count):
    past = None
    for token in bench.tokens(count, shape.VOCABULARY):
        past = forward([token], past)


bench.run(asked, prompt, generate)
