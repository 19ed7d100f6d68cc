"""Texts of many scripts, with the characters at which tokenizers differ."""

from __future__ import annotations

import random

WORDS = [
    "the king said", "it's", "don't", "we'LL", "Once", "naïve", "café", "ẞtraße", "İstanbul", "ﬁne", "Ⅷ",
    "日本語", "中文字符", "한국어", "ไทย", "हिन्दी", "עברית", "العربية", "Ελλάς", "привет", "አማርኛ", "ქართული",
    "🦀", "👩‍👩‍👧‍👦", "🇪🇺", "e\u0301", "a\u0308\u0323", "\u200d", "\u00ad", "\ufeff", "\ufffd", "𝔘𝔫𝔦", "１２３",
    "1234567", "3.14", "0x1F", "__init__", "</s>", "<s>", "<unk>", "<0x41>", "{'a': [1]}", "C++", "...", ".", ",", "'", "'re", "n't", "?!", "“q”",
    "▁", "▁▁the", "Ġ", "Ċ", "@-@", "http://a.b/c?d=e", "#1", "$5", "%", "\\n", "CamelCase", "ALLCAPS", "x",
]
SPACES = [" ", " ", " ", "", "  ", "   ", "\n", "\n\n", "\t", "\r\n", " \n ", "\u00a0", "\u3000", "\u2003"]


def generate(seed: int, count: int, tokens: list[str]) -> list[str]:
    """Returns `count` texts. They spell out `tokens` here and there, sometimes with other cases or in pieces."""
    random_source = random.Random(seed)
    texts = ["", " ", "  ", "\n", "a", " a", "a ", *tokens]
    while len(texts) < count:
        parts = []
        for _ in range(random_source.randrange(1, 9)):
            kind = random_source.random()
            if kind < 0.2:
                token = random_source.choice(tokens)
                parts.append(random_source.choice([token, token, token[:-1], token.upper(), token * 2]))
            elif kind < 0.25:
                parts.append(chr(random_source.choice([0, 7, 127, 0x300, 0x2028, 0xE000, 0x1F600, 0x10FFFF])))
            else:
                parts.append(random_source.choice(WORDS))
            parts.append(random_source.choice(SPACES))
        texts.append("".join(parts[random_source.randrange(2) :]))
    return texts[:count]
