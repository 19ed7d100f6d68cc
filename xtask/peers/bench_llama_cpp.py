"""Times a GGUF file in llama.cpp, with the method of llama-bench: bench_llama_cpp.py FILE --threads N"""

import ctypes
import os

import llama_cpp

import bench
import shape

MOST_TOKENS = 512


@llama_cpp.llama_log_callback
def quiet(_level, _text, _data):
    pass


asked = bench.arguments()
if "PEERS_VERBOSE" not in os.environ:
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
llama_cpp.llama_backend_init()
model = llama_cpp.llama_model_load_from_file(asked.model.encode(), llama_cpp.llama_model_default_params())
if not model:
    raise SystemExit(f"llama.cpp cannot load {asked.model}")
parameters = llama_cpp.llama_context_default_params()
parameters.n_ctx = 1024
parameters.n_batch = parameters.n_ubatch = MOST_TOKENS
parameters.n_threads = parameters.n_threads_batch = asked.threads
context = llama_cpp.llama_init_from_model(model, parameters)
if not context:
    raise SystemExit("llama.cpp cannot make a context")


def forward(tokens):
    array = (llama_cpp.llama_token * len(tokens))(*tokens)
    if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(tokens))) != 0:
        raise SystemExit("llama.cpp cannot run the model")
    llama_cpp.llama_synchronize(context)


def clear():
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)


def prompt(count):
    clear()
    tokens = bench.tokens(count, shape.VOCABULARY)
    for start in range(0, count, MOST_TOKENS):
        forward(tokens[start : start + MOST_TOKENS])


def generate(count):
    clear()
    for token in bench.tokens(count, shape.VOCABULARY):
        forward([token])


bench.run(asked, prompt, generate)
