"""Tercet as a model of EleutherAI's lm-evaluation-harness.

``python -m tercet.lm_eval run --model tercet --model_args model=bitnet-2b --tasks hellaswag`` is the
harness's own command, with the model ``tercet`` added. In Python, import this module; then
``lm_eval.simple_evaluate(model="tercet", model_args={"model": "bitnet-2b"}, tasks=[...])`` works.

Needs the extra ``eval``: ``pip install tercet[eval]``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Optional, Union

from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from .machine import MachineOptions
from .model import load_model

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from typing_extensions import Unpack

#: A request's texts, the tokens of its context, and those of its continuation.
Request = tuple[Optional[tuple[str, str]], list[int], list[int]]


@register_model("tercet")
class TercetLM(TemplateLM):
    """A model for ``lm_eval``. Takes the arguments of :func:`tercet.load_model`.

    ``max_length`` is the context that the harness may use; the default is the model's. Requests are
    batched by what they have in common, so that ``batch_size`` has no effect. Neither has ``device``, which
    the harness's command always names.
    """

    def __init__(
        self,
        model: Union[str, os.PathLike[str], None] = None,
        *,
        max_length: Optional[int] = None,
        batch_size: Union[int, str, None] = None,
        max_batch_size: Optional[int] = None,
        device: Optional[str] = None,
        **options: Unpack[MachineOptions],
    ) -> None:
        super().__init__()
        self.model, self.tokenizer = load_model(model, **options)
        self.max_length = max_length or self.model.context_length

    @property
    def eot_token_id(self) -> Optional[int]:
        """The token that ends a text."""
        return self.tokenizer.eos_token_id

    @property
    def prefix_token_id(self) -> Optional[int]:
        """The token that stands before a text without context."""
        bos = self.tokenizer.bos_token_id
        return self.eot_token_id if bos is None else bos

    @property
    def max_gen_toks(self) -> int:
        """The most tokens that are generated, unless a task says otherwise."""
        return 256

    @property
    def tokenizer_name(self) -> str:
        """The name by which the harness caches requests."""
        return self.model.name

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Returns the prompt for a conversation."""
        text = self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
        return str(text)

    def tok_encode(self, string: str, add_special_tokens: Optional[bool] = None, **kwargs: object) -> list[int]:
        """Returns the tokens of a text. A text that spells its start token gets no other one."""
        framed = add_special_tokens
        if framed is None:
            prefix = self.prefix_token_id
            framed = prefix is None or not string.startswith(self.tokenizer.decode(prefix))
        return self.tokenizer.encode(string, add_special_tokens=framed)

    def _loglikelihood_tokens(
        self, requests: Sequence[Request], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        contexts, continuations = [], []
        for _, context, continuation in requests:
            # The last token is only predicted. A text that is too long loses its beginning.
            room = self.max_length + 1 - len(continuation)
            contexts.append(context[-room:])
            continuations.append(continuation)
        scored = self.model.logprobs(contexts, continuations)
        answers = [(score.total, score.is_greedy) for score in scored]
        for (texts, _, _), answer in zip(requests, answers):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return answers

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Returns ln p of whole texts, in windows of the context's size."""
        windows: list[Request] = []
        counts = []
        for (text,) in (request.args for request in requests):
            rolling = get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            of_text = [(None, *make_disjoint_window(window)) for window in rolling]
            windows += of_text
            counts.append(len(of_text))
        totals = iter([total for total, _ in self._loglikelihood_tokens(windows)])
        sums = [sum(next(totals) for _ in range(count)) for count in counts]
        for request, total in zip(requests, sums):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return sums

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Returns the texts that follow the contexts, each up to one of its stop strings."""
        groups: dict[str, list[int]] = {}
        for at, request in enumerate(requests):
            groups.setdefault(repr(sorted(request.args[1].items())), []).append(at)
        texts = [""] * len(requests)
        for places in groups.values():
            made = self._continue([requests[at].args[0] for at in places], requests[places[0]].args[1])
            for at, text in zip(places, made):
                texts[at] = text
                self.cache_hook.add_partial("generate_until", requests[at].args, text)
        return texts

    def _continue(self, contexts: list[str], gen_kwargs: Mapping[str, object]) -> list[str]:
        """Continues contexts that share the harness's options of generation."""
        options = normalize_gen_kwargs(dict(gen_kwargs), self.max_gen_toks)
        until, tokens = options.pop("until", None) or [], options.pop("max_gen_toks")
        room = self.max_length - tokens
        if room < 1:
            raise ValueError(f"max_gen_toks: {tokens} leaves no room for a prompt in {self.max_length} tokens")
        prompts = [self.tok_encode(context)[-room:] for context in contexts]
        stop = [string for string in ([until] if isinstance(until, str) else until) if string]
        return [made.text for made in self.model.complete(prompts, tokens, stop=stop, **options)]


def main() -> None:
    """Runs the harness's command."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
