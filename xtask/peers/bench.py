"""What the peers' benches have in common: their arguments, the clock, and what they print."""

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
    """Times `prompt` and `generate`, functions of a number of tokens, and prints a JSON list of tokens per second.

    A prompt is run once before it is timed, a few tokens are generated before more are: engines prepare themselves
    for each size.
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
    """Tokens all over the vocabulary."""
    return [index * 7919 % vocabulary for index in range(1, count + 1)]
