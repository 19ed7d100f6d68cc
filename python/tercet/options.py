"""Options of generation, and how they reach the native half."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Optional, TypedDict, TypeVar, Union, cast

import numpy as np
import numpy.typing as npt

from . import _tercet

T = TypeVar("T")

#: Takes the tokens so far and the logits of the next one. Returns new logits, or changes them in place.
LogitsProcessor = Callable[
    [npt.NDArray[np.int64], npt.NDArray[np.float32]], Optional[npt.NDArray[np.float32]]
]
#: Takes the tokens so far, the prompt among them. Returns True to end the text.
StoppingCriterion = Callable[[npt.NDArray[np.int64]], bool]


class Sampling(TypedDict, total=False):
    """How tokens are chosen, and what ends a text. ``generation_config.json`` stands for what is not given."""

    #: Divides the logits. 0 takes the most likely token.
    temperature: Optional[float]
    #: The number of candidates; 0 for all.
    top_k: Optional[int]
    #: The probability that the candidates hold together.
    top_p: Optional[float]
    #: The least probability of a candidate, relative to the best.
    min_p: Optional[float]
    #: Divides the logits of tokens seen before.
    repetition_penalty: Optional[float]
    #: The latest tokens that the penalty looks at; 0 for all.
    repetition_window: Optional[int]
    #: Taken from the logits of generated tokens, once.
    presence_penalty: float
    #: Taken from the logits of generated tokens, for each time.
    frequency_penalty: float
    #: Numbers that are added to the logits of tokens.
    logit_bias: Optional[Mapping[int, float]]
    #: False always takes the most likely token.
    do_sample: Optional[bool]
    #: Strings that end the text, which excludes them. They may spell special tokens.
    stop: Union[str, Sequence[str], None]
    #: Tokens that end the text, besides the model's end tokens.
    stop_id: Union[int, Sequence[int], None]
    #: ``stop_id``, for several tokens.
    stop_ids: Optional[Sequence[int]]
    #: Replaces the model's end tokens. With ``[]`` no token ends the text.
    eos_token_id: Union[int, Sequence[int], None]
    #: The text is JSON that is valid by this schema.
    json_schema: Union[str, Mapping[str, object], None]
    #: The text is a JSON object.
    json_object: bool
    #: A regular expression that matches the whole text.
    regex: Optional[str]
    #: A grammar of the text, in GBNF or Lark.
    grammar: Optional[str]
    #: Changes the logits after the penalties, before the temperature. Several are called in their order.
    logits_processor: Union[LogitsProcessor, Sequence[LogitsProcessor], None]


class Options(Sampling, total=False):
    """Options of generation. The same model, prompt, options and seed give the same tokens on every machine."""

    #: The seed of the random choices. The texts of one call get consecutive seeds, the first one this. A list has a seed
    #: for each text.
    seed: Union[int, Sequence[int]]
    #: The number of texts for each prompt.
    n: int
    #: ``n``, as transformers calls it.
    num_return_sequences: int
    #: The most tokens of a prompt and its text together, in place of ``max_new_tokens``.
    max_length: Optional[int]
    #: Ends a text, with the stop reason ``cancelled``.
    stopping_criteria: Union[StoppingCriterion, Sequence[StoppingCriterion], None]


#: Tokens of a text if the caller does not say.
TOKENS = 100
#: Arguments of transformers' ``generate`` that Tercet has no equal for, with the values that ask for nothing.
UNSUPPORTED: dict[str, tuple[object, ...]] = {
    "num_beams": (None, 1),
    "num_beam_groups": (None, 1),
    "use_cache": (None, True),
    "early_stopping": (None, False),
    "length_penalty": (None, 1, 1.0),
    "diversity_penalty": (None, 0, 0.0),
    "no_repeat_ngram_size": (None, 0),
    "encoder_repetition_penalty": (None, 1, 1.0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "typical_p": (None, 1, 1.0),
    "epsilon_cutoff": (None, 0, 0.0),
    "eta_cutoff": (None, 0, 0.0),
    "top_h": (None,),
    "penalty_alpha": (None,),
    "guidance_scale": (None, 1, 1.0),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "max_time": (None,),
    "stop_strings": (None,),
    "bad_words_ids": (None,),
    "force_words_ids": (None,),
    "suppress_tokens": (None, []),
    "begin_suppress_tokens": (None, []),
    "sequence_bias": (None,),
    "constraints": (None,),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "exponential_decay_length_penalty": (None,),
    "watermarking_config": (None,),
    "assistant_model": (None,),
    "prompt_lookup_num_tokens": (None,),
    "dola_layers": (None,),
    "generation_config": (None,),
    "prefix_allowed_tokens_fn": (None,),
    "synced_gpus": (None, False),
    "inputs_embeds": (None,),
    "past_key_values": (None,),
    "cache_implementation": (None,),
    "return_dict_in_generate": (None, False),
    "output_scores": (None, False),
    "output_logits": (None, False),
    "output_attentions": (None, False),
    "output_hidden_states": (None, False),
    "negative_prompt_ids": (None,),
    "token_type_ids": (None,),
    "position_ids": (None,),
    "tokenizer": (None,),
}
#: What to use instead.
INSTEAD = {
    "stop_strings": "use stop",
    "bad_words_ids": "use logit_bias",
    "suppress_tokens": "use logit_bias",
    "sequence_bias": "use logit_bias or logits_processor",
    "max_time": "use stopping_criteria",
    "prefix_allowed_tokens_fn": "use grammar or logits_processor",
    "generation_config": "give its fields as arguments",
    "output_scores": "use Model.logprobs",
    "output_logits": "use Model.logits",
    "num_beams": "use n for several texts",
    "assistant_model": "use draft_model of load_model",
}


def checked(options: Mapping[str, object]) -> Options:
    """Returns the options, without those of transformers that ask for nothing.

    Raises TypeError for unknown names, and ValueError for what only transformers can do.
    """
    known = {}
    for name, value in options.items():
        if name in Options.__annotations__:
            known[name] = value
        elif name not in UNSUPPORTED:
            raise TypeError(f"unexpected keyword argument {name!r}")
        elif not any(value is neutral or value == neutral for neutral in UNSUPPORTED[name]):
            raise ValueError(f"{name}: transformers can do this, Tercet cannot; {INSTEAD.get(name, 'leave it out')}")
    return cast(Options, known)


def requested(max_new_tokens: int, options: Options) -> _tercet.Requested:
    """Returns the options in the form that the native half reads."""
    whole = {"max_new_tokens": max_new_tokens, "top_k": options.get("top_k")}
    whole["repetition_window"] = options.get("repetition_window")
    for what, value in whole.items():
        if value is not None and value < 0:
            raise ValueError(f"{what}: {value} is out of range; use 0 or more")
    schema, object_, regex = options.get("json_schema"), options.get("json_object", False), options.get("regex")
    grammar, eos = options.get("grammar"), options.get("eos_token_id")
    if sum((schema is not None, object_, regex is not None, grammar is not None)) > 1:
        raise ValueError("give one of json_schema, json_object, regex and grammar")
    temperature = options.get("temperature")
    if options.get("do_sample") and temperature is None:
        temperature = 1.0
    return {
        "max_tokens": max_new_tokens,
        "greedy": options.get("do_sample") is False,
        "temperature": temperature,
        "top_k": options.get("top_k"),
        "top_p": options.get("top_p"),
        "min_p": options.get("min_p"),
        "repetition_penalty": options.get("repetition_penalty"),
        "repetition_window": options.get("repetition_window"),
        "presence_penalty": options.get("presence_penalty", 0.0),
        "frequency_penalty": options.get("frequency_penalty", 0.0),
        "logit_bias": dict(options.get("logit_bias") or {}),
        "eos": None if eos is None else some(eos),
        "stop": some(options.get("stop")),
        "stop_id": [*some(options.get("stop_id")), *(options.get("stop_ids") or [])],
        "json_schema": schema if isinstance(schema, (str, type(None))) else json.dumps(schema),
        "json_object": object_,
        "regex": regex,
        "grammar": grammar,
        "logits_processor": _in_order(some(options.get("logits_processor"))),
        "one_by_one": bool(options.get("stopping_criteria")),
    }


def tokens(max_new_tokens: Optional[int], options: Options, prompt: int, context: Optional[int] = None) -> int:
    """Returns the most tokens of a text after a prompt of ``prompt`` tokens, in a context of ``context``."""
    if context is not None:
        if prompt >= context:
            raise ValueError(f"context: {context} leaves no room after a prompt of {prompt} tokens; load with more")
        return min(tokens(max_new_tokens, options, prompt), context - prompt)
    length = options.get("max_length")
    if max_new_tokens is not None or length is None:
        return TOKENS if max_new_tokens is None else max_new_tokens
    if length <= prompt:
        raise ValueError(f"max_length: {length} leaves no room after a prompt of {prompt} tokens; use more")
    return length - prompt


def seeds(options: Options, texts: int) -> list[int]:
    """Returns the seed of each text."""
    seed = options.get("seed", 0)
    given = [seed + i for i in range(texts)] if isinstance(seed, int) else list(seed)
    if len(given) != texts:
        raise ValueError(f"seed: there are {len(given)} for {texts} texts; give one for each, or a number")
    for seed in given:
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"seed: {seed} is out of range; use 0 or more")
    return given


def samples(options: Options) -> int:
    """Returns the number of texts for each prompt."""
    n, sequences = options.get("n", 1), options.get("num_return_sequences")
    n = n if sequences is None else sequences
    if n < 1:
        raise ValueError(f"n: {n} is out of range; use 1 or more")
    return n


def one_text(options: Options) -> None:
    """Refuses what needs several texts, or a look at each token."""
    for name in ("n", "num_return_sequences", "stopping_criteria"):
        if options.get(name, 1) not in (1, None):
            raise ValueError(f"{name}: this call gives one text, which its reader may end; use complete")


def some(value: Union[T, Sequence[T], None]) -> list[T]:
    """Returns one value, several or none as a list."""
    if value is None:
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return [value]


def _in_order(processors: Sequence[LogitsProcessor]) -> Optional[LogitsProcessor]:
    """Returns one processor for all of them."""
    if len(processors) < 2:
        return next(iter(processors), None)

    def process(ids: npt.NDArray[np.int64], logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        for processor in processors:
            made = processor(ids, logits)
            logits = logits if made is None else made
        return logits

    return process
