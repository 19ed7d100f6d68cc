"""JSON schemas against jsonschema: a text that is not cut is valid by its schema."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import tercet

WORDS = ("name", "age", "kind", "a b", "é", "x1")


def schema(make: random.Random, depth: int) -> dict[str, Any]:
    """Returns a random schema. Its texts are short, so that few are cut."""
    simple = ("string", "integer", "number", "boolean", "null", "enum", "const", "pattern", "format")
    nested = ("object", "array", "tuple", "anyOf")
    kind = make.choice(simple if depth == 0 else simple + nested * 2)
    if kind == "string":
        return {"type": "string", "minLength": make.randrange(3), "maxLength": make.randrange(3, 9)}
    if kind in ("integer", "number"):
        least = make.randrange(-20, 20)
        limits = {"minimum": least, "maximum": least + make.randrange(1, 500)}
        return {"type": kind} | limits
    if kind == "enum":
        return {"enum": make.sample(["a", 1, None, True, "\u00e9\n", [1, {"b": 2}], 2.5], 3)}
    if kind == "const":
        return {"const": {"word": make.choice(WORDS), "list": [1, "two"]}}
    if kind == "pattern":
        pattern = make.choice(["^[a-c]{1,4}$", "^(x|yz)+w$", "^[0-9]{2}-[0-9]{2}$"])
        return {"type": "string", "pattern": pattern}
    if kind == "format":
        return {"type": "string", "format": make.choice(["date", "ipv4", "uuid"])}
    if kind == "array":
        limits = {"minItems": make.randrange(2), "maxItems": 3}
        return {"type": "array", "items": schema(make, depth - 1)} | limits
    if kind == "tuple":
        items = [schema(make, depth - 1) for _ in range(2)]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": 2}
    if kind == "anyOf":
        return {"anyOf": [schema(make, depth - 1) for _ in range(2)]}
    if kind == "object":
        names = make.sample(WORDS, 3)
        required = make.sample(names, make.randrange(4))
        properties = {name: schema(make, depth - 1) for name in names}
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"type": kind}


def test_texts_are_valid_by_their_schemas(times: int) -> None:
    make = random.Random(20)
    model, _ = tercet.load_model(threads=1)
    checker = jsonschema.FormatChecker(("date", "ipv4", "uuid"))
    ended = 0
    for i in range(60 * times):
        part = schema(make, 2)
        if make.random() < 0.2:
            part = {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/part"}}
        wanted = {
            "$defs": {"part": schema(make, 1)},
            "type": "object",
            "properties": {"x": part},
            "required": ["x"],
            "additionalProperties": False,
        }
        prompt = make.choice(["Once upon a time", "The king said:", "{"])
        temperature = make.choice([0.0, 0.8, 1.6])
        [made] = model.complete([prompt], 250, temperature=temperature, seed=i, json_schema=wanted)
        if made.stop == "eos":
            ended += 1
            jsonschema.validate(json.loads(made.text), wanted, format_checker=checker)
    assert ended > 30 * times, ended
