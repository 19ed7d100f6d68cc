"""The command ``python -m tercet.ray``."""

from __future__ import annotations

import argparse
import sys

import ray

from .batch import run

EXAMPLES = """examples:
  python -m tercet.ray batch prompts.jsonl texts.jsonl -m bitnet-2b
  python -m tercet.ray batch prompts.parquet texts -m bitnet-2b --address auto"""


def parsed() -> argparse.Namespace:
    """Returns the arguments of this process."""
    parser = argparse.ArgumentParser(
        prog="python -m tercet.ray", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    batch = parser.add_subparsers(dest="command", required=True).add_parser(
        "batch", help="answer every row of a file", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    batch.add_argument("source", help="JSON lines or Parquet: rows with id, and prompt, messages or OpenAI's body")
    batch.add_argument("target", help="a .jsonl file, or a folder for Parquet; rows with an answer there are skipped")
    batch.add_argument("-m", "--model", help="a model's name, folder or file")
    batch.add_argument("-n", "--max-new-tokens", type=int, help="most tokens of a text")
    batch.add_argument("-t", "--temperature", type=float, help="divisor of the logits; 0 takes the best token")
    batch.add_argument("--top-k", type=int, help="number of candidates")
    batch.add_argument("--top-p", type=float, help="probability that the candidates hold together")
    batch.add_argument("--seed", type=int, default=0, help="seed of the random choices")
    batch.add_argument("--batch-size", type=int, default=128, help="rows that an actor takes at a time")
    batch.add_argument("--actors", help="number of actors, or LEAST-MOST; one for each node if not given")
    batch.add_argument("--cpus", type=int, help="CPUs of an actor; all of a node if not given")
    batch.add_argument(
        "--max-errored-blocks",
        type=int,
        default=0,
        help="batches that may fail as a whole, such as for want of memory; their rows stay without an answer",
    )
    batch.add_argument("--address", help="address of a Ray cluster; one on this machine if not given")
    return parser.parse_args()


def main() -> int:
    """Runs the command. The exit status is 1 if a row has an error or no answer."""
    arguments = parsed()
    ray.init(address=arguments.address or "local", log_to_driver=False, logging_level="warning")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = arguments.max_errored_blocks
    sampling = {name: getattr(arguments, name) for name in ("temperature", "top_k", "top_p")}
    try:
        errors = run(
            arguments.source,
            arguments.target,
            arguments.model,
            arguments.max_new_tokens,
            batch_size=arguments.batch_size,
            actors=arguments.actors,
            cpus=arguments.cpus,
            seed=arguments.seed,
            **{name: value for name, value in sampling.items() if value is not None},
        )
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
