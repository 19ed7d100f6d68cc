"""The shared part of the peers' benchmarks: arguments, timing and output."""

import argparse
import json
import time


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--prompt", type=int, nargs="*", default=[])
    parser.add_argument("--generate", type=int, nargs="*", default=[])
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def run(asked, prompt, generate):
    """Times `prompt` and `generate`, and prints a JSON list with tokens per second.

    Both are functions of a number of tokens. Each is called once before it is timed, because engines
    prepare themselves for each size: a prompt with its full length, a generation with at most 8 tokens.
    """
    tests = [("pp", tokens, prompt, tokens) for tokens in asked.prompt]
    tests += [("tg", tokens, generate, min(tokens, 8)) for tokens in asked.generate]
    results = []
    for name, tokens, test, warm_up in tests:
        test(warm_up)
        start = time.perf_counter()
        test(tokens)
        seconds = time.perf_counter() - start
        results.append({"test": f"{name}{tokens}", "threads": asked.threads, "median_tps": tokens / seconds})
    print(json.dumps(results))


def tokens(count, vocabulary):
    """Returns `count` tokens that are spread over the vocabulary."""
    return [index * 7919 % vocabulary for index in range(1, count + 1)]
