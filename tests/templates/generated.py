"""Random templates: values that go through filters, methods and operators."""

from __future__ import annotations

import random

STRINGS = ["''", "'a'", "'Hello, World!'", "' two  words '", "'line one\\nline two\\n\\nfour'", "'naïve café 日本'", "'it\\'s \"x\"'",
           "'a,b,,c'", "'<b>&amp;</b>'", "'%s=%d'", "'{} and {}'", "'12'", "'-3.5'", "'ABC def'", "text", "x", "messages[1].content", "'ǆ ß İ'", "'a-b_c d'"]
NUMBERS = ["0", "1", "-1", "7", "2.5", "-0.5", "1e16", "1e-5", "100", "n", "f", "3.0", "12345.678", "true"]
LISTS = ["[]", "[1, 2, 3]", "['b', 'A', 'c']", "[3, 1.5, 2]", "('x', 'y')", "range(4)", "[none, true]", "[[1, 2], [3]]", "['a', 'b', 'a']",
         "messages|map(attribute='role')|list", "[{'a': 1}, {'a': 2}]", "custom.b", "deep.list"]
DICTS = ["{}", "{'a': 1}", "{'b': 2, 'a': 'x'}", "{'k': [1, {'z': none}]}", "custom", "messages[0]", "tools[0].function.parameters"]
OTHERS = ["none", "true", "missing", "nothing"]
FILTERS = ["abs", "capitalize", "center(9)", "count", "default('d')", "default('d', true)", "dictsort", "filesizeformat", "first", "float", "float(1.5)",
           "format('a', 2)", "indent", "indent(2, true)", "indent(1, blank=true)", "int", "int(5)", "items|list", "join", "join(', ')", "last", "length", "list",
           "lower", "map('upper')|list", "map('string')|list", "map('length')|list", "max", "min", "pprint", "reject('none')|list", "replace('a', 'b')", "replace('', '-')", "replace('a', '', 1)",
           "reverse|list", "round", "round(1)", "round(1, 'floor')", "round(-1)", "round(0, 'ceil')", "select|list", "select('string')|list", "slice(2)|list", "batch(2)|list", "batch(2, 'q')|list",
           "sort", "sort(true)", "sort(case_sensitive=true)", "string", "striptags", "sum", "title", "tojson", "tojson(indent=2)", "tojson(ensure_ascii=true)", "tojson(separators=(',', ':'))",
           "trim", "trim('a')", "truncate(5)", "truncate(5, true, '')", "truncate(8, leeway=0)", "unique|list", "upper", "urlencode", "wordcount", "wordwrap(4)", "wordwrap(6, false)", "xmlattr",
           "map(attribute='a')|list", "selectattr('a')|list", "groupby('a')|list", "sum(attribute='a')", "join('-', attribute='a')"]
METHODS = ["upper()", "lower()", "title()", "capitalize()", "swapcase()", "strip()", "lstrip('a ')", "rstrip('c!')", "split()", "split(',')", "split(none, 1)", "rsplit(' ', 1)", "rsplit(none, 1)",
           "splitlines()", "splitlines(true)", "partition(' ')", "rpartition(',')", "replace('a', 'XX')", "replace('l', '', 1)", "removeprefix('He')", "removesuffix('!')", "startswith('a')", "endswith(('c', 'd'))",
           "find('o')", "rfind('o')", "count('a')", "index('a')", "zfill(6)", "center(11, '*')", "ljust(5)", "rjust(5, '.')", "isdigit()", "isalpha()", "isalnum()", "isupper()", "islower()", "istitle()",
           "isspace()", "isidentifier()", "isprintable()", "expandtabs(4)", "casefold()", "join(['x', 'y'])", "format(1, 'b')", "encode() is defined", "isnumeric()", "isdecimal()"]
DICT_METHODS = ["keys()|list", "values()|list", "items()|list", "get('a')", "get('zz', 3)", "copy()", "items()|map('first')|list"]
LIST_METHODS = ["index(1)", "count('a')", "copy()", "index('b')"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "mapping", "sequence", "iterable", "boolean", "true", "false", "odd", "even", "lower", "upper", "callable", "escaped",
         "divisibleby 3", "eq 1", "in [1, 'a']", "sameas none"]
SLICES = ["[0]", "[-1]", "[1:]", "[:2]", "[::-1]", "[1:-1]", "[::2]", "[5]", "['a']", "[-2:]", "[3:0:-1]"]
SPECS = ["%s", "%5s|", "%-5s|", "%d", "%05d", "%.2f", "%x", "%r", "%+d", "%e", "%g", "%c", "%%%s"]
BRACES = ["{}", "{:>8}", "{:<8}|", "{:^9}", "{:.2f}", "{:05d}", "{:,}", "{!r}", "{:x}", "{:e}", "{:+}", "{:.3}", "{:%}", "{:*^12}", "{:g}", "{:_}", "{:b}", "{:10.3f}"]


def generated(seed: int, count: int) -> list[str]:
    """Returns ``count`` templates, the same for the same seed."""
    rng = random.Random(seed)
    return [template(rng) for _ in range(count)]


def template(rng: random.Random) -> str:
    kind = rng.randrange(8)
    if kind == 0:
        return f"{{% for i in {value(rng)} %}}{{{{ loop.index }}}}:{{{{ {step('i', rng)} }}}},{{% else %}}none{{% endfor %}}"
    if kind == 1:
        return f"{{% set a = {value(rng)} %}}{{% if {step('a', rng)} %}}yes {{{{ a }}}}{{% else %}}no {{{{ {step('a', rng)} }}}}{{% endif %}}"
    return f"{{{{ {expression(rng)} }}}}"


def value(rng: random.Random) -> str:
    return rng.choice(rng.choice([STRINGS, STRINGS, NUMBERS, LISTS, LISTS, DICTS, OTHERS]))


def expression(rng: random.Random) -> str:
    kind = rng.randrange(10)
    if kind == 0:
        return f"({value(rng)}) {rng.choice(OPERATORS)} ({value(rng)})"
    if kind == 1:
        same = rng.choice([STRINGS, NUMBERS, NUMBERS, LISTS])
        return f"{rng.choice(same)} {rng.choice(OPERATORS)} {rng.choice(same)}"
    if kind == 2:
        return f"'{rng.choice(SPECS)}' % ({value(rng)},)"
    if kind == 3:
        return f"'{rng.choice(BRACES)}'.format({value(rng)})"
    text = value(rng)
    for _ in range(rng.randint(1, 3)):
        text = step(f"({text})", rng)
    return text


def step(text: str, rng: random.Random) -> str:
    kind = rng.randrange(12)
    if kind < 5:
        return f"{text}|{rng.choice(FILTERS)}"
    if kind < 8:
        return f"{text}.{rng.choice(METHODS)}"
    if kind == 8:
        return f"{text}.{rng.choice(DICT_METHODS + LIST_METHODS)}"
    if kind == 9:
        return f"{text} is {rng.choice(TESTS)}"
    return f"{text}{rng.choice(SLICES)}"
