"""What every template of the tests sees, and what transformers makes of it."""

from __future__ import annotations

import json
from typing import Any

import jinja2
from transformers.utils.chat_template_utils import _normalize_chat_messages, render_jinja_template

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": 'Returns the weather of a "city" & <more>.',
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "The city"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                    "days": {"type": "array", "items": {"type": "integer"}},
                },
                "required": ["city"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}},
]
DOCUMENTS: list[dict[str, Any]] = [{"title": "Cats", "text": "They purr.\n"}, {"title": "Dogs", "text": "Grüße: „wau“"}]
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": " Be brief. "},
    {"role": "user", "content": "What's the weather in Zürich?\n<b>&'\"</b> {{ x }}"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "id": "call12345",
                "type": "function",
                "function": {"name": "get_weather", "arguments": {"city": "Zürich", "unit": "celsius", "days": [1, 2]}},
            }
        ],
    },
    {"role": "tool", "name": "get_weather", "tool_call_id": "call12345", "content": '{"temperature": 21.5}'},
    {"role": "user", "content": [{"type": "text", "text": "And this?"}, {"type": "image"}]},
]
KWARGS: dict[str, Any] = {
    "x": "Hello, World!",
    "n": 7,
    "f": 0.1,
    "big": 12345678901234567890,
    "flag": True,
    "nothing": None,
    "text": "one\ntwo\n\nthree  four",
    "deep": {"list": [{"key": "a"}, {"key": "b"}]},
    "custom": {"a": 1, "b": [1, 2]},
    "enable_thinking": False,
}
SPECIAL_TOKENS: dict[str, str] = {
    "bos_token": "<|begin_of_text|>",
    "eos_token": "<|eot_id|>",
    "unk_token": "<unk>",
    "sep_token": "<sep>",
    "pad_token": "<pad>",
    "cls_token": "<cls>",
    "mask_token": "<mask>",
}
CONTEXT: dict[str, Any] = {
    "messages": MESSAGES,
    "tools": TOOLS,
    "documents": DOCUMENTS,
    "add_generation_prompt": True,
    "chat_template_kwargs": KWARGS,
    "special_tokens": SPECIAL_TOKENS,
}


def render(template: str, context: dict[str, Any]) -> dict[str, str]:
    """Returns the text that transformers renders, or the kind and message of its error."""
    try:
        texts, _ = render_jinja_template(
            [_normalize_chat_messages(context["messages"])],
            tools=context["tools"],
            documents=context["documents"],
            chat_template=template,
            add_generation_prompt=context["add_generation_prompt"],
            **context["special_tokens"],
            **context["chat_template_kwargs"],
        )
    except jinja2.exceptions.TemplateError as error:
        return {"error": str(error)} if type(error) is jinja2.exceptions.TemplateError else {"error": ""}
    except Exception:
        return {"error": ""}
    try:
        json.dumps(texts[0], ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return {"error": ""}
    return {"text": texts[0]}


def conversations() -> list[dict[str, Any]]:
    """Returns ordinary conversations: with and without system message, tools, documents, reasoning and a prompt for the answer."""
    user, answer = {"role": "user", "content": " Hi there \n"}, {"role": "assistant", "content": "Hello! "}
    thought = answer | {"reasoning_content": "They greet.\n"}
    system = {"role": "system", "content": "You are brief.\n/no_think"}
    call, result, last = MESSAGES[2], MESSAGES[3], {"role": "user", "content": "<b>&'\"{{ x }}\u2028é"}
    look = {"type": "function", "function": {"name": "now", "arguments": {}}}
    calls = {"role": "assistant", "content": "Let me look.", "tool_calls": [*call["tool_calls"], look | {"id": "call00002"}]}
    results = [result, {"role": "tool", "name": "now", "tool_call_id": "call00002", "content": "noon"}]
    inline = {"role": "assistant", "content": "<think>\nBoth are known.\n</think>\n\nIt is noon."}
    several = [[user], [system, user], [user, answer, last], [system, user, thought, last], [user, call, result],
               [system, user, call, result, answer, last], [user, answer],
               [system, user, calls, *results, inline, last], [MESSAGES[4], answer, user, inline]]
    contexts = []
    for index, messages in enumerate(several):
        kwargs = {} if index % 2 else {"enable_thinking": index % 4 == 0}
        documents = DOCUMENTS if index == 8 else None
        base = {"documents": documents, "chat_template_kwargs": kwargs, "special_tokens": SPECIAL_TOKENS, "messages": messages}
        tools = TOOLS if index in (1, 4, 5, 7) else None
        contexts.append(base | {"tools": tools, "add_generation_prompt": index != 6})
    return contexts
