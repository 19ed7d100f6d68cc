"""Small templates, one feature of Jinja or Python each. All see the variables of `cases.py`."""

import re

OPERATORS = r"""
{{ 1 + 2 }} {{ 7 - 9 }} {{ 3 * 4 }} {{ 7 / 2 }} {{ 6 / 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }}
{{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ 2 ** 64 }} {{ 2 ** 100 }}
{{ 0.1 + 0.2 }} {{ 1e16 }} {{ 1e15 }} {{ 1.0 }} {{ 1e-5 }} {{ 0.0001 }} {{ 123456789.123 }} {{ 1e300 * 1e10 }}
{{ -0.0 }} {{ 1.5 // 1 }} {{ -1.5 % 1 }} {{ 7.5 // -2 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1.5e3 }}
{{ 9007199254740993 + 0.0 }} {{ 12345678901234567890 }} {{ 18446744073709551615 + 1 }} {{ 3 - 3.0 }}
{{ true }} {{ false }} {{ none }} {{ True }} {{ None }} {{ true + true }} {{ 1 == 1.0 }} {{ 1 == true }} {{ "1" == 1 }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1, 'x'] ~ {'k': 'v'} }} {{ missing ~ 'x' }} {{ 1 ~ 2 + 3 }}
{{ 'a' + 'b' }} {{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ 'x' * -1 }}| {{ [1, 2] * 2 }} {{ (1, 2) + (3,) }} {{ [1] + ['a'] }}
{{ '%s and %s' % ('a', 1) }} {{ '%s' % 'x' }} {{ '%d%%' % 5 }} {{ '%05.1f|%-5s|%5s|%x' % (3.14159, 'a', 'b', 255) }}
{{ '%(a)s-%(b)d' % {'a': 'x', 'b': 3} }} {{ '%r %s' % ('q', [1]) }} {{ '%s' % none }} {{ '%c%c' % (65, 'B') }} {{ '%+d % d' % (3, 4) }} {{ '%e' % 12345.678 }} {{ '%g' % 0.00001 }}
{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 != 2 }} {{ [1] == [1] }} {{ {'a': 1} == {'a': 1} }} {{ (1,) == [1] }}
{{ 'a' in 'cat' }} {{ 'a' not in 'cat' }} {{ 1 in [1, 2] }} {{ 'k' in {'k': 1} }} {{ 2 in (1, 3) }} {{ '' in 'x' }} {{ 'a' in missing }}
{{ not true }} {{ not '' }} {{ 1 and 2 }} {{ 0 or 'x' }} {{ '' and 1 }}| {{ none or [] }} {{ 1 and none }} {{ not not 3 }}
{{ 'yes' if true else 'no' }} {{ 'yes' if false }}| {{ ('a' if 0 else 'b') ~ 'c' }} {{ 1 if 0 else 2 if 0 else 3 }}
{{ 'abc'[0] }} {{ 'abc'[-1] }} {{ 'abcdef'[1:4] }} {{ 'abcdef'[::-1] }} {{ 'abcdef'[::2] }} {{ 'abcdef'[-3:] }} {{ 'abc'[5:] }}| {{ 'abc'[9] }}|
{{ [1, 2, 3][1:] }} {{ [1, 2, 3][::-1] }} {{ (1, 2, 3)[:2] }} {{ [1, 2, 3][-1] }} {{ [1, 2, 3][7] }}| {{ range(10)[2:5] }} {{ [1,2,3,4][3:0:-2] }}
{{ "\n" }}{{ "tab\tend" }}{{ '\\' }}{{ "\"" }}{{ '\'' }}{{ "\x41\u00e9\U0001F600" }}{{ '\q' }}{{ "a" "b" 'c' }}{{ "\101" }}{{ "\0" }}
{{ -7 }} {{ - -3 }} {{ -x|length }} {{ (-5)|abs }} {{ -5|abs }} {{ 5|float }} {{ 3.0|int }}
{{ none.foo }}| {{ none['a'] }}| {{ 'abc'.foo }}| {{ (5).foo }}| {{ [1].foo }}| {{ {}.foo }}|
{{ 1.0 * 3 }} {{ 10 / 4 * 2 }} {{ 2 + 3 * 4 - 1 }} {{ (2 + 3) * 4 }} {{ 7 // 2 * 2 }} {{ 100 // 7 % 4 }} {{ 1 / 3 }} {{ 2 / 3 }} {{ 1e22 }} {{ 1e21 + 1 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 'a' + 1 }}
{{ 1 + none }}
{{ 'a' - 'b' }}
{{ 1 < 'a' }}
{{ [] + {} }}
{{ missing + 'x' }}
{{ missing.foo }}
{{ missing.foo.bar }}
{{ missing['a'] }}
{{ missing() }}
{{ x() }}
{{ none.foo.bar }}
{{ none + 'x' }}
{{ '%d' % 'x' }}
{{ '%s %s' % 'x' }}
{{ 5 in 5 }}
{{ 'x' in none }}
"""

PRINTING = r"""
{{ ['a', "b'c", 'd"e', "f'\"g", 'é\n\t\x00', '\\'] }}
{{ {'a': 1, 'b': [true, none, 1.5], 'c': {'d': ()}} }} {{ (1,) }} {{ () }} {{ [] }} {{ {} }}
{{ {'z': 1, 'a': 2, 'm': 3} }} {{ {1: 'x', none: 2, true: 3} }} {{ {'a': missing}|length }}
{{ messages[1] }} {{ messages[1].keys()|list }} {{ messages|length }}
{{ tools }} {{ documents }}
{{ ['\u200b', '\xa0', '😀', '\x7f', '\x1b', '日本'] }}
{{ [1e16, 1e-7, 0.1, 100.0, -0.0] }} {{ [missing] }} {{ [2 ** 70] }}
{{ range(3) }} {{ range(1, 10, 3)|list }} {{ range(5, 0, -2)|list }} {{ range(0) | list }}
{{ messages[0].items()|list }} {{ {'a': 1}.items() }} {{ {'a': 1}.keys() }} {{ {'a': 1}.values() }}
{{ 'a,b'.split(',') }} {{ ('a', 'b')|list }} {{ 'abc'|list }} {{ {'x': 1, 'y': 2}|list }}
{{ namespace(a=1).a }} {{ joiner()() }}| {{ 'x'|tojson }} {{ dict(a=1, b=2) }} {{ dict([('a', 1)]) }} {{ dict({'q': 1}, z=2) }}
{{ missing }}|{{ missing is defined }}|{{ missing|length }}|{% for q in missing %}x{% endfor %}|{{ missing == missing }}|{{ not missing }}
{{ '\ud83d' }}
{{ f }} {{ n }} {{ big }} {{ flag }} {{ nothing }} {{ deep.list[1].key }} {{ deep['list'][0] }} {{ deep.list.0 }} {{ text }}
{{ x.items() }}
{{ [1, [2, [3, (4, 5)]], {'k': [6]}] }} {{ [''] }} {{ [' '] }} {{ "it's" }} {{ ["it's"] }}
"""

STRINGS = r"""
{{ ' a b '.strip() }}|{{ ' a '.lstrip() }}|{{ ' a '.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcxyz'.strip('zac') }}|{{ '\x1c\x1da\x1e\x1f\x85\u2003'.strip() }}|{{ 'a'.strip(none) }}
{{ 'a b  c'.split() }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a b c'.split(' ', maxsplit=1) }} {{ 'a b'.split(none, 1) }} {{ ' a  b c '.split(none, 1) }}
{{ 'a,b,c'.rsplit(',', 1) }} {{ 'a b c'.rsplit() }} {{ 'a b  c'.rsplit(none, 1) }} {{ 'a\nb\r\nc\x0bd\x1ce\u2028f\n'.splitlines() }} {{ 'a\nb'.splitlines(true) }}
{{ 'abc'.upper() }} {{ 'ABC'.lower() }} {{ 'abc def'.title() }} {{ "they're bill's".title() }} {{ 'hELLO wORLD'.capitalize() }} {{ 'aBc'.swapcase() }} {{ 'Straße'.casefold() }} {{ 'ß'.upper() }} {{ 'ǆ'.title() }} {{ 'ΑΣ'.lower() }}
{{ 'abc'.startswith('ab') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('bc') }} {{ 'abc'.startswith('b', 1) }} {{ 'abc'.endswith('b', 0, 2) }} {{ 'a'.startswith('') }}
{{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') }} {{ 'abc'.find('z') }} {{ 'abcabc'.index('b', 2) }} {{ 'abcabc'.rindex('a') }} {{ 'aaa'.count('a') }} {{ 'aaa'.count('aa') }} {{ 'abc'.count('') }} {{ 'éa'.find('a') }} {{ 'abcabc'.find('a', 1) }} {{ 'abcabc'.find('a', -3, 6) }} {{ 'abcabc'.count('a', 1) }}
{{ 'aXbXc'.replace('X', '-') }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'ab'.replace('', '-') }} {{ 'x'.replace('x', '') }}|
{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }} {{ 'abc'.removeprefix('z') }} {{ 'abc'.removesuffix('') }}
{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('-') }} {{ 'abc'.rpartition('-') }}
{{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ '+7'.zfill(4) }} {{ 'ab'.center(7, '*') }} {{ 'ab'.ljust(4) }}| {{ 'ab'.rjust(4, '.') }} {{ 'abc'.center(6) }}| {{ 'a'.center(4) }}| {{ 'ab'.center(5, '-') }}
{{ '-'.join(['a', 'b']) }} {{ ''.join(('x', 'y')) }} {{ ', '.join(messages|map(attribute='role')) }} {{ '-'.join('abc') }} {{ '-'.join({'a': 1, 'b': 2}) }} {{ ','.join([]) }}|
{{ 'abc'.isalpha() }} {{ 'ab1'.isalnum() }} {{ '12'.isdigit() }} {{ '12'.isnumeric() }} {{ '12'.isdecimal() }} {{ '²'.isdigit() }} {{ '½'.isnumeric() }} {{ '½'.isdigit() }} {{ ' '.isspace() }} {{ ''.isspace() }} {{ 'Ab'.istitle() }} {{ 'AB'.isupper() }} {{ 'ab'.islower() }} {{ 'a1'.islower() }} {{ 'ab'.isidentifier() }} {{ '1a'.isidentifier() }} {{ 'a\n'.isprintable() }} {{ 'é'.isascii() }} {{ ''.isascii() }} {{ '٣'.isdecimal() }}
{{ '{} {}'.format('a', 1) }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x}'.format(x=3) }} {{ '{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c') }} {{ '{:.2f}'.format(3.14159) }} {{ '{:05d}'.format(42) }} {{ '{:,}'.format(1234567) }} {{ '{{}}'.format() }} {{ '{!r}'.format('a') }} {{ '{:x}'.format(255) }} {{ '{0[0]} {1[k]}'.format([1], {'k': 2}) }} {{ '{:*^9}'.format('mid') }} {{ '{}'.format(none) }} {{ '{}'.format([1, 'a']) }} {{ '{:%}'.format(0.25) }} {{ '{:+}'.format(3) }} {{ '{:e}'.format(12345.0) }} {{ '{:b}'.format(5) }} {{ '{:>{w}}'.format('a', w=4) }} {{ '{:s}'.format('q') }} {{ '{}'.format(1e16) }} {{ '{:.3}'.format('abcdef') }} {{ '{:g}'.format(0.5) }} {{ '{!s:>4}'.format(1) }}
{{ 'a\tb'.expandtabs() }} {{ 'a\tb'.expandtabs(4) }} {{ '01\t012\t0123'.expandtabs(4) }}
{{ 'abc'.encode('utf-8') is defined }} {{ 'abc'.translate({97: 'x'}) }} {{ 'abc'.translate({98: none}) }} {{ '{a}'.format_map({'a': 1}) }}
{{ 'a' .upper().lower() .title() }} {{ messages[1].content.strip().split('\n')[0] }} {{ 'abc'.__len__ }}|
{{ 'abc'.nosuch() }}
{{ 'abc'.index('z') }}
{{ 'abc'.split('') }}
{{ '-'.join([1, 2]) }}
{{ '{} {}'.format('a') }}
{{ '{x}'.format('a') }}
{{ 'a'.center() }}
{{ 'abc'.__class__ }}
{{ 'abc'.__class__.__mro__ }}
{{ '{0.__class__}'.format('a') }}
{{ 'abc'.upper(1) }}
{{ 'abc'.replace('a') }}
{{ 'x'.strip(5) }}
"""

CONTAINERS = r"""
{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 'd') }} {{ {'a': 1}['b'] }}| {{ {'a': 1, 'b': 2}.keys()|list }} {{ {'a': 1}.values()|list }} {% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}={{ v }},{% endfor %}
{{ [1, 2, 1].index(2) }} {{ [1, 2, 1].count(1) }} {{ ('a', 'b').index('b') }} {{ [3, 1].copy() }} {{ {'a': 1}.copy() }} {{ (1, 1).count(1) }}
{{ {'items': 5}['items'] }} {{ {'keys': 5}.get('keys') }} {{ {'a': {'items': 3}}.a['items'] }} {{ 'm' if {'items': 0}.items else 'n' }} {{ {'x': 1}.x }} {{ {'get': 4}['get'] }}
{{ dict.fromkeys(['a', 'b']) }} {{ dict.fromkeys('ab', 0) }} {{ {}.fromkeys(['q'], 1) }} {{ dict() }}
{{ {'a': 1}|length }} {{ [1, 2]|count }} {{ 'é日'|length }} {{ ()|length }} {{ range(4)|length }}
{% set l = [1] %}{{ l.append(2) }}{{ l }}
{% set d = {} %}{{ d.update({'a': 1}) }}{{ d }}
{% set d = {'a': 1} %}{{ d.pop('a') }}
{% set d = {'a': 1} %}{{ d.setdefault('a', 1) }}
{% set l = [1] %}{% do l.append(2) %}{{ l }}
{% set l = [2, 1] %}{{ l.sort() }}{{ l }}
{% set l = [1] %}{{ l.extend([2]) }}{{ l }}
{% set d = {} %}{% set d.a = 1 %}{{ d.a }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = 'xy' %}{{ c }}{{ d }}{% set t = 1, 2 %}{{ t }}
{{ [1, 2, 3].index(9) }}
{{ {'a': 1}.nosuch() }}
{% set a, b = [1, 2, 3] %}{{ a }}
{{ {'a': 1}.popitem() }}
{{ {'a': 1}.clear() }}
{{ [1].__class__ }}|{{ {}.__len__ }}|{{ messages.__doc__ }}
{{ {'a': 1}.a.b.c }}
{{ {[1]: 2} }}
{{ [1, 2]['a'] }}|{{ 'abc'['x'] }}|{{ {'1': 'a'}[1] }}|
"""

STATEMENTS = r"""
{% for i in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}
{% for i in [1, 2, 3] %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}{% for i in 'ab' %}{{ loop.previtem is defined }}{{ loop.nextitem is undefined }}{% endfor %}
{% for i in [1, 1, 2, 2, 1] %}{{ loop.changed(i) }} {{ loop.cycle('odd', 'even') }} {% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %} {% for i in [1] %}x{% else %}empty{% endfor %}
{% for i in range(6) if i % 2 %}{{ loop.index }}:{{ i }} {% endfor %}{% for i in range(3) if false %}{% else %}none{% endfor %}
{% for i in [1, [2, [3]], 4] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ loop.depth }}{{ loop.depth0 }}.{{ i }} {% endif %}{% endfor %}
{% for a, b in [(1, 2), (3, 4)] %}{{ a }}-{{ b }} {% endfor %}{% for k, v in {'x': 1}|items %}{{ k }}{{ v }}{% endfor %}{% for (a, (b, c)) in [(1, (2, 3))] %}{{ a + b + c }}{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in 'abc' %}{% for j in 'xy' %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{{ loop.index }}{% endfor %}
{% set ns = namespace(n=0, found=false) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }} {{ ns.found }} {{ ns.zip }}| {{ ns['n'] }}
{% set v = 1 %}{% for i in [1] %}{% set v = 2 %}{{ v }}{% endfor %}{{ v }}{% if true %}{% set v = 3 %}{% endif %}{{ v }}
{% for i in [1, 2] %}{{ w is defined }}{% set w = i %}{{ w }}{% endfor %}{{ w is defined }}{{ i is defined }}
{% set c %}hello {{ 1 + 1 }}{% endset %}[{{ c }}] {% set d | upper %}abc{% endset %}{{ d }} {% set e | replace('a', 'b') | title %}a a{% endset %}{{ e }}
{% macro m(a, b=2, c='x') %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c='y') }} {{ m() }} {{ m(a=5) }}
{% macro m(a) %}[{{ a }}{{ caller() }}]{% endmacro %}{% call m('x') %}body{% endcall %}
{% macro m() %}{{ caller('u', 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}
{% macro outer(x) %}{{ inner(x) }}!{% endmacro %}{% macro inner(y) %}<{{ y }}>{% endmacro %}{{ outer(3) }}
{% macro fact(k) %}{% if k <= 1 %}1{% else %}{{ k * fact(k - 1)|int }}{% endif %}{% endmacro %}{{ fact(5) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m.name }} {{ m.caller }}
{% set g = 1 %}{% macro m() %}{{ g }}{% endmacro %}{% set g = 2 %}{{ m() }}
{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}
{% macro m() %}{% set g = 9 %}{{ g }}{% endmacro %}{{ m() }}{{ g is defined }}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}
{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% filter upper %}abc {{ 'def' }}{% endfilter %} {% filter replace('a', 'b')|upper %}aaa{% endfilter %}
{% raw %}{{ not rendered }} {% if %}{% endraw %} {%- raw -%} {{ x }} {%- endraw -%} .
{# comment {{ x }} #}a{#- b -#} c {# {% raw %} #}d
{% if false %}a{% elif true %}b{% else %}c{% endif %}{% if 0 %}x{% elif '' %}y{% else %}z{% endif %}{% if missing %}q{% endif %}
{% generation %}hello {{ 1 }}{% endgeneration %}|{%- generation -%} x {%- endgeneration -%}|{% for i in [1,2] %}{% generation %}{{ loop.index }}{{ i }}{% set z = i %}{% endgeneration %}{{ z is defined }}{% endfor %}
{% autoescape true %}{{ '<a>' }}{{ '<b>'|safe }}{% endautoescape %}{{ '<c>' }}{% autoescape false %}{{ '<d>' }}{% endautoescape %}
{% block title %}in block {{ x }}{% endblock %} {{ self.title() }}
{% set j = joiner(', ') %}{{ j() }}a{{ j() }}b{{ j() }}c {% set j2 = joiner() %}{{ j2() }}1{{ j2() }}2
{% set c = cycler('a', 'b', 'c') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}
{% set x = 'new' %}{{ x }}{% set messages = messages[1:] %}{{ messages|length }}
{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set s = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set s = '' %}{% endif %}{{ s }}{{ loop_messages|length }}
{{ raise_exception('Conversation roles must alternate user/assistant') }}
{% if true %}{{ raise_exception("line one\nline two " ~ 5) }}{% endif %}
{% include 'other' %}
{% extends 'base' %}
{% import 'x' as y %}
{% from 'x' import y %}
{% do 1 %}
{% unknown %}
{% if %}x{% endif %}
{% for %}{% endfor %}
{% endif %}
{{ }}
{% if true %}
{{ 'unclosed }}
{{ x
{{ x|nosuchfilter }}
{{ x is nosuchtest }}
{% if false %}{{ x|nosuchfilter }}{% endif %}ok
{% break %}
{% for i in 5 %}{% endfor %}
{% for i in none %}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{% endmacro %}{{ m(z=2) }}
{% set true = 1 %}
{{ loop }}
{{ loop.index }}
{% set _x = 5 %}{{ _x }}{% for _ in range(2) %}{{ _ }}{% endfor %}
{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = [ns.a] %}{{ ns.b }}{{ ns._z is defined }}
{% set ns = namespace() %}{% set ns._a = 1 %}
{% set ns = namespace({'q': 1}, r=2) %}{{ ns.q }}{{ ns.r }}
{{ ns.foo }}{% set ns.foo = 1 %}
{% set x %}{% for m in messages %}{{ m.role[0] }}{% endfor %}{% endset %}{{ x|length }}{{ x == 'suatu' }}{{ x is string }}
{% for m in messages %}{% set role = m.role %}{% if loop.first %}F{% elif loop.last %}L{% endif %}{{ role }};{% endfor %}
{% for m in messages|reverse %}{{ m.role }} {% endfor %}{% for m in messages[::-1] %}{{ loop.revindex }}{% endfor %}{% for c in 'abc'|reverse %}{{ c }}{% endfor %}
{% for x in {'b': 1, 'a': 2} %}{{ x }}{% endfor %}{% for x in (1, 2) %}{{ x }}{% endfor %}{% for x in 'hé' %}{{ x }}{% endfor %}
{% set outer = [] %}{% for i in [1,2] %}{% set outer = outer + [i] %}{% endfor %}{{ outer }}{% set ns = namespace(l=[]) %}{% for i in [1,2] %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.l }}
{% for i in [1,2,3] %}{% if loop.index0 is divisibleby 2 %}{{ i }}{% endif %}{% endfor %}{% for i in [1, 2] %}{{ loop.length - loop.index }}{% endfor %}
"""

FILTERS = r"""
{{ -3|abs }} {{ 2.5|abs }} {{ {'a': 1}|attr('a') }}| {{ 'abc'|attr('upper') is defined }} {{ 'hello'|capitalize }} {{ 'HELLO World'|capitalize }} {{ 'a'|center(5) }}| {{ 5|center(7) }}|
{{ missing|default('d') }} {{ ''|default('d') }}| {{ ''|default('d', true) }} {{ none|default('d') }} {{ none|d('e', boolean=true) }} {{ missing|default }}| {{ 0|default(1, true) }}
{{ {'b': 1, 'a': 2}|dictsort }} {{ {'b': 1, 'A': 2}|dictsort(true) }} {{ {'b': 1, 'a': 2}|dictsort(by='value') }} {{ {'b': 1, 'a': 2}|dictsort(false, 'value', true) }}
{{ '<a & "b\'">'|escape }} {{ '<x>'|e }} {{ '<x>'|forceescape }} {{ '<x>'|safe }} {{ ('<x>'|safe)|e }} {{ 5|e }} {{ ('<i>'|safe) ~ '<b>' }} {{ '<a>'|e ~ '<b>' }}
{{ 100|filesizeformat }} {{ 1000|filesizeformat }} {{ 1234567|filesizeformat }} {{ 1048576|filesizeformat(true) }} {{ 1|filesizeformat }} {{ 1e12|filesizeformat }}
{{ [3, 1]|first }} {{ []|first }}| {{ 'abc'|last }} {{ [1, 2]|last }} {{ {'k': 1}|first }} {{ 'é'|first }}
{{ '3.7'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 5|float }} {{ '1e3'|float }} {{ none|float }} {{ '3'|int }} {{ '3.9'|int }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ '0x1f'|int(base=16) }} {{ '1010'|int(0, 2) }} {{ 3.9|int }} {{ true|int }} {{ ' 42 '|int }} {{ -3.9|int }} {{ missing|int }} {{ '1_000'|int }} {{ none|int }}
{{ '%s-%d'|format('a', 5) }} {{ '%(x)s'|format(x='k') }} {{ '%.2f'|format(1.005) }} {{ '%s'|format([1]) }} {{ '%5.1f|%-6s|'|format(2.25, 'ab') }}
{% for g in [{'a': 1, 'b': 2}, {'a': 1, 'b': 3}, {'a': 0, 'b': 4}]|groupby('a') %}{{ g.grouper }}:{{ g.list|length }} {{ g[0] }}{% endfor %} {% for k, v in [{'a': 'x'}, {'a': 'X'}, {}]|groupby('a', default='z') %}{{ k }}{{ v }}{% endfor %}
{{ 'a\nb\n\nc'|indent }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\n\nb'|indent(2, blank=true) }}|{{ 'a\nb'|indent('> ') }}|{{ 'a\nb'|indent(width=1, first=True) }}|{{ 'a\nb\n'|indent(2) }}|
{{ [1, 2]|join }} {{ [1, 'a', none]|join(', ') }} {{ messages|join(',', attribute='role') }} {{ 'abc'|join('-') }} {{ [{'a': {'b': 1}}]|join(',', 'a.b') }} {{ missing|join }}| {{ []|join(',') }}|
{{ 'ABC'|lower }} {{ 'abc'|upper }} {{ 5|upper }} {{ 'hello world-foo (bar)'|title }} {{ "it's a b-c"|title }} {{ 'fooBAR'|title }} {{ 'été ÉTÉ'|title }}
{{ ['a', 'b']|map('upper')|list }} {{ messages|map(attribute='role')|list }} {{ messages|map(attribute='name', default='-')|list }} {{ [[1, 2], [3]]|map('sum')|list }} {{ [1, 2]|map('string')|join }} {{ ['a b', 'c']|map('replace', 'a', 'z')|list }} {{ [{'a': [5]}]|map(attribute='a.0')|list }} {{ [{'a': 1}, {}]|map(attribute='a')|list }}
{{ [3, 1, 2]|max }} {{ [3, 1, 2]|min }} {{ ['b', 'A']|min }} {{ ['b', 'A']|min(case_sensitive=true) }} {{ messages|max(attribute='role') is mapping }} {{ []|max }}| {{ 'abc'|max }}
{{ {'a': [1, 'x'], 'b': none}|pprint }} {{ 'x'|pprint }} {{ 1.5|pprint }} {{ ['a'*50, 'b'*50]|pprint }}
{{ [1, 2, 3, 4]|reject('odd')|list }} {{ [1, 2, 3, 4]|select('odd')|list }} {{ [0, 1, '']|select|list }} {{ [0, 1, '']|reject|list }} {{ [1, 2, 3]|select('gt', 1)|list }} {{ ['a', 'b']|select('in', ['a'])|list }} {{ ['a', 'b']|reject('equalto', 'a')|list }}
{{ messages|selectattr('role', 'equalto', 'user')|list|length }} {{ messages|selectattr('role', '==', 'user')|map(attribute='content')|first }} {{ messages|rejectattr('role', 'in', ['user', 'system'])|list|length }} {{ messages|selectattr('tool_calls')|list|length }} {{ messages|selectattr('tool_calls', 'defined')|list|length }} {{ messages|rejectattr('name')|list|length }}
{{ 'aXbX'|replace('X', '-') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 'aaa'|replace('a', 'b', count=1) }} {{ 121|replace(1, 'x') }} {{ 'a'|replace('', '-') }}
{{ [1, 2, 3]|reverse|list }} {{ 'abc'|reverse }} {{ (1, 2)|reverse|list }} {{ range(3)|reverse|list }}
{{ 42.55|round }} {{ 42.55|round(1) }} {{ 42.55|round(1, 'floor') }} {{ 42.51|round(0, 'ceil') }} {{ 2.5|round }} {{ 3.5|round }} {{ 1234|round(-2) }} {{ 42|round }} {{ 2.675|round(2) }} {{ -2.5|round }} {{ 42.55|round|int }} {{ 0.5|round(method='ceil') }}
{{ [1, 2, 3, 4, 5]|slice(2)|list }} {{ [1, 2, 3]|slice(2, 'x')|list }} {{ [1, 2, 3, 4, 5]|batch(2)|list }} {{ [1, 2, 3]|batch(2, 'x')|list }} {{ 'abcde'|batch(2)|list }} {{ range(7)|slice(3)|map('list')|list }}
{{ [3, 1, 2]|sort }} {{ ['b', 'A', 'c']|sort }} {{ ['b', 'A', 'c']|sort(case_sensitive=true) }} {{ [3, 1, 2]|sort(true) }} {{ [3, 1]|sort(reverse=true) }} {{ [{'a': 2}, {'a': 1}]|sort(attribute='a') }} {{ [{'a': 1, 'b': 2}, {'a': 1, 'b': 1}]|sort(attribute='a,b') }} {{ 'bca'|sort }} {{ {'b': 1, 'a': 2}|sort }} {{ [1.5, 1, true]|sort }}
{{ 5|string }} {{ none|string }} {{ [1]|string }} {{ (5|string) is string }} {{ true|string|lower }} {{ '<a>  b &amp; <!-- c --> d'|striptags }} {{ [1, 2]|sum }} {{ [{'a': 1}, {'a': 2}]|sum(attribute='a') }} {{ [1, 2]|sum(start=10) }} {{ []|sum }} {{ [0.1, 0.2]|sum }} {{ ['a']|sum }}
{{ ' a '|trim }}| {{ 'xax'|trim('x') }} {{ 5|trim }} {{ '\n a \n'|trim }} {{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(9, false, '..') }} {{ 'foo bar baz qux'|truncate(11, false, '...', 0) }} {{ 'short'|truncate(3, leeway=5) }} {{ 'foo bar'|truncate(5, end='…', leeway=0) }}
{{ ['a', 'A', 'b']|unique|list }} {{ ['a', 'A', 'b']|unique(true)|list }} {{ [1, 1, 2]|unique|list }} {{ messages|unique(attribute='role')|map(attribute='role')|list }}
{{ 'a b&c/d é'|urlencode }} {{ {'a': 1, 'b c': 'd&'}|urlencode }} {{ [('x', 'y z')]|urlencode }}
{{ 'one two  three'|wordcount }} {{ 'it\'s a-b_c.d'|wordcount }} {{ 'aaa bbb ccc ddd'|wordwrap(7) }} {{ 'abcdefghij'|wordwrap(4) }} {{ 'abcdefghij kl'|wordwrap(4, false) }} {{ 'a b\nc d e f'|wordwrap(3, wrapstring='|') }} {{ 'foo-bar baz'|wordwrap(5, break_on_hyphens=false) }} {{ 'foo-bar baz'|wordwrap(5) }}
{{ {'class': 'x', 'id': none, 'v': '<"'}|xmlattr }} {{ {'a': 1}|xmlattr(false) }} {{ {}|xmlattr }}|
{{ {'a': 1}|items|list }} {{ missing|items|list }} {{ [1, 2]|list }} {{ 'ab'|list }} {{ {'a': 1}|list }} {{ range(3)|list }} {{ messages|map('length')|list }}
{{ {'a': [1, 2.0, 'é<>&\'"', true, none]}|tojson }} {{ {'a': 1, 'b': [2]}|tojson(indent=2) }} {{ 'é\n\u2028'|tojson }} {{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }} {{ {'a': 1, 'b': 2}|tojson(separators=(',', ':')) }} {{ 'é😀'|tojson(ensure_ascii=true) }} {{ []|tojson(indent=4) }} {{ {}|tojson(indent=4) }} {{ [[], {}, [1]]|tojson(indent=1) }} {{ {'a': (1, 2)}|tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}
{{ {'a': 1}|tojson(true) }} {{ 'é'|tojson(true) }} {{ [1e16, 1e-7, 1.0, 0.1]|tojson }} {{ [1, [2]]|tojson(indent='\t') }} {{ {'a': 1}|tojson(indent=0) }} {{ {'a': [1]}|tojson(false, 2, (', ', ' = ')) }} {{ tools|tojson(indent=4) }} {{ '\x7f\x1b/\\'|tojson }} {{ {'a':1}|tojson(indent=none) }} {{ x|tojson|length }} {{ 2**70|tojson }}
{{ missing|tojson }}
{{ namespace()|tojson }}
{{ range(3)|tojson }}
{{ {'a': 1}|tojson(nosuch=1) }}
{{ 5|length }}
{{ none|length }}
{{ 5|first }}
{{ 5|join }}
{{ [1, 'a']|sort }}
{{ [1, 'a']|max }}
{{ 'a'|round }}
{{ none|upper }} {{ none|trim }} {{ none|replace('N', 'x') }} {{ none|title }} {{ none|length is defined }}
{{ [1]|join(attribute='a') }}|{{ [{'a': 1}]|map(attribute='b')|join('-') }}|{{ [1]|map(attribute='zz')|list }}
{{ ['1', '2']|map('int')|sum }} {{ ['x']|map('nosuch')|list }}
{{ 'x'|default(y, 1, 2, 3) }}
{{ 'a'|attr('b').c }}
{{ messages|length > 2 }} {{ (messages|first).role }} {{ messages|map(attribute='role')|unique|sort|join(' ') }} {{ messages|selectattr('role', 'ne', 'user')|map(attribute='role')|list }}
{{ 'abc'|e|upper }} {{ 'a'|upper|lower|title|center(3)|trim }} {{ x | trim | upper }} {{ (1, 2, 3)|sum + 1 }} {{ 'a'|length * 3 }} {{ not 'a'|length }}
"""

TESTS = r"""
{{ true is boolean }} {{ 1 is boolean }} {{ x is callable }} {{ range is callable }} {{ joiner is callable }} {{ 'a'.upper is callable }} {{ x is defined }} {{ missing is defined }} {{ missing is undefined }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ 6 is not divisibleby 4 }}
{{ 1 is eq 1 }} {{ 1 is equalto(2) }} {{ 2 is ge 1 }} {{ 2 is gt 3 }} {{ 2 is greaterthan 1 }} {{ 1 is in [1] }} {{ 1 is le 1 }} {{ 1 is lt 2 }} {{ 1 is lessthan 0 }} {{ 1 is ne 2 }} {{ 1 is sameas 1 }} {{ none is sameas none }} {{ true is sameas true }} {{ 1 is sameas true }}
{{ '<a>'|e is escaped }} {{ 'a' is escaped }} {{ 2 is even }} {{ 3 is odd }} {{ false is false }} {{ 0 is false }} {{ true is true }} {{ 1 is true }} {{ 'upper' is filter }} {{ 'zz' is filter }} {{ 'odd' is test }} {{ 1.0 is float }} {{ 1 is float }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is integer }}
{{ [] is iterable }} {{ 'a' is iterable }} {{ 5 is iterable }} {{ {} is iterable }} {{ missing is iterable }} {{ none is iterable }} {{ 'ab' is lower }} {{ 'AB' is upper }} {{ 'aB' is lower }} {{ {} is mapping }} {{ [] is mapping }} {{ none is none }} {{ missing is none }} {{ 5 is number }} {{ true is number }} {{ '5' is number }} {{ 1.5 is number }}
{{ [] is sequence }} {{ 'a' is sequence }} {{ {} is sequence }} {{ 5 is sequence }} {{ missing is sequence }} {{ () is sequence }} {{ range(2) is sequence }} {{ 'a' is string }} {{ 5 is string }} {{ none is string }} {{ missing is string }} {{ messages[0] is mapping }} {{ messages is sequence }} {{ messages[0].content is string }} {{ (messages|map(attribute='a')) is iterable }}
{{ 1 is not none }} {{ not 1 is none }} {{ x is string and x is not none }} {{ x is defined and x|length > 0 }} {{ 1 is odd and 2 is even or false }} {{ tools is none }} {{ tools is not none }} {{ documents is iterable }} {{ nothing is none }} {{ messages[1].tool_calls is defined }} {{ messages[2].tool_calls is defined and messages[2].tool_calls }} {{ message is undefined }}
{{ 5 is divisibleby 0 }}
{{ 'a' is odd }}
{{ 'a' is lt 1 }}
"""

GLOBALS = r"""
{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token }}{{ sep_token }}{{ cls_token }}{{ mask_token }}|{{ extra_special_tokens is defined }}{{ additional_special_tokens is defined }}{{ bos_token_id is defined }}
{{ add_generation_prompt }} {{ tools is defined }} {{ documents is defined }} {{ enable_thinking }} {{ custom.a }} {{ messages[0]['role'] }} {{ chat_template is defined }} {{ continue_final_message is defined }}
{{ strftime_now('%Y')|length }} {{ strftime_now('%%') }} {{ strftime_now('no directives') }} {{ strftime_now('%j')|length }} {{ strftime_now('%d %b %Y')|length }} {{ strftime_now is defined }} {{ strftime_now('')|length }}
{{ range is defined }} {{ dict is defined }} {{ cycler is defined }} {{ joiner is defined }} {{ namespace is defined }} {{ debug is defined }} {{ super is defined }} {{ caller is defined }} {{ raise_exception is defined }} {{ open is defined }} {{ str is defined }} {{ len is defined }} {{ zip is defined }} {{ enumerate is defined }} {{ int is defined }} {{ True is defined }} {{ config is defined }}
{{ range(10**9)[0] }}
{{ range() }}
{{ range(1.5) }}
{{ range(3, none) }}
{{ len(messages) }}
{{ str(5) }}
"""

CONVERSATIONS = r"""
{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + (message['content'] or '') + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
{%- for message in messages %}{%- if message.tool_calls %}{%- for tool_call in message.tool_calls %}{{ tool_call.function.name }}({{ tool_call.function.arguments | tojson }}){% for k, v in tool_call.function.arguments.items() %}<{{ k }}>{{ v if v is string else v | tojson }}</{{ k }}>{% endfor %}{%- endfor %}{%- elif message.content is string %}{{ message.content }}{%- else %}{%- for part in message.content %}{%- if part.type == 'text' %}{{ part.text }}{%- elif part.type == 'image' %}<image>{%- endif %}{%- endfor %}{%- endif %}{%- endfor %}
{%- for tool in tools %}{{ tool | tojson }}{{ "\n" }}{{ tool.function.name }}: {{ tool.function.description }}{%- for name, p in tool.function.parameters.properties.items() %} {{ name }}:{{ p.type }}{{ ' required' if name in tool.function.parameters.required }}{% endfor %}{%- endfor %}
{%- for d in documents %}{{ loop.index0 }}. {{ d.title }}: {{ d['text'] }}{%- if not loop.last %}, {% endif %}{%- endfor %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}{%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}{%- set ns.multi_step_tool = false %}{%- set ns.last_query_index = index %}{%- endif %}{%- endfor %}{{ ns.last_query_index }}
{%- set content = '<think>\nreason\n</think>\n\nanswer' %}{{ content.split('</think>')[-1].lstrip('\n') }}|{{ content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') }}
{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ loop.index0 }}{% endif %}{% endfor %}
{{ messages[2]['tool_calls'][0]['function']['arguments']['unit'] }} {{ messages[2].tool_calls[0].function.arguments.unit }} {{ messages[2].content }}|{{ messages[3].tool_call_id }} {{ messages[4].content[0].text }}
{{ messages[-1].role }} {{ messages[-1]['content'] | length }} {{ messages | tojson }}
{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %}{{ date_string }}{% if tools is not none and tools|length > 0 %} has tools{% endif %}{{ '\n' ~ tools|length }}
{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{{ system_message }}
  {% if true %}
    indented
  {% endif %}  
{%+ if true %} kept {%+ endif %}
"""


SIGNS = r"""
{{ +1 }} {{ + 2 }} {{+ 3 }}| {{ +x|length }} {{ 1 + +2 }} {{ 1 - +2 }} {{ +-3 }} {{ -+3 }} {{ ++3 }} {{ - +n }} {{ n +1 }} {{ n+1 }} {{ (n)+1 }}
{{ +true }} {{ +'a' }} {{ +none }} {{ +[] }} {{ +missing }} {{ +1.5 }} {{ + 0.0 }} {{ +big }} {{ +n ** 2 }} {{ 2 ** +2 }} {{ 'a' * +2 }} {{ 'a' ~ +2 }}
{{ [+1, +2] }} {{ {'a': +1} }} {{ (+1) }} {{ (+1,) }} {{ range(+3)|list }} {{ dict(a=+1) }} {{ [1, 2, 3][+1:+2] }} {{ x[+1] }} {{ 'a,b'.split(',', +1) }}
{{ 'y' if +1 else +0 }} {{ 'y' if not +0 else 'n' }} {{ 3 in [+3] }} {{ 3 not in [+3] }} {{ 1 == +1 }} {{ 1 and +2 }} {{ 0 or +2 }} {{ 1 < +2 <= +3 }} {{ +5|string }}
{{ 'a'+'b' }} {{ 'in' + 'x' }} {{ 'in'+'x' }} {{ custom.a+1 }} {{ deep.list[0].key+'+' }} {{ [1]+[2] }} {{ x.upper()+'!' }} {{ "+" }} {{ '(' + '+1' + ')' }}
{% set a = +5 %}{{ a }}{% if +a > 1 %}y{% elif +a %}z{% else %}q{% endif %}{% for i in [+1, 2] if +i > 1 %}{{ i }}{% endfor %}
"""

MACROS = r"""
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}|{{ m(1) }}|{{ m() }}|{{ m(a=1, b=2) }}
{% macro m(a, b=2) %}{{ a }}{{ b }}{{ varargs }}{% endmacro %}{{ m(1) }}|{{ m(1, 5) }}|{{ m(1, 5, 6, 'q') }}|{{ m(1, b=7) }}
{% macro m(a='d') %}{{ a }}{{ kwargs }}{% endmacro %}{{ m(z=1, y=2) }}|{{ m(a=3, y=[1]) }}|{{ m(1, a=2) }}
{% macro m() %}{% for v in varargs %}<{{ v }}>{% endfor %}{% for k, v in kwargs.items() %}{{ k }}={{ v }};{% endfor %}{% endmacro %}{{ m(*[1, 2], **{'k': 'v'}) }}
{% macro m(a) %}{{ varargs|length }}{% endmacro %}{{ m(1, x=2) }}
{% macro m(a) %}{{ kwargs|length }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(varargs) %}{{ varargs }}{% endmacro %}{{ m(1) }}{{ m(varargs=2) }}
{% macro m(kwargs=3) %}{{ kwargs }}{{ varargs }}{% endmacro %}{{ m() }}{{ m(1, 2) }}
{% macro m() %}{% set kwargs = 1 %}{{ kwargs }}{% endmacro %}{{ m() }}
{% macro m(items) %}{% for i in items %}{{ i }}{% if varargs %}({{ m(varargs) }}){% endif %}{% endfor %}{% endmacro %}{{ m([1], 2, 3) }}
{% macro m() %}[{{ caller('x') }}{{ varargs }}{{ kwargs }}]{% endmacro %}{% call(v) m(1, 2, k=3) %}<{{ v }}>{% endcall %}
{% macro m() %}{{ caller is defined }}{{ kwargs }}{% endmacro %}{{ m(a=1) }}{% call m(a=1) %}x{% endcall %}
{% macro m() %}{{ kwargs.keys()|list }}{% endmacro %}{% call m(a=1) %}x{% endcall %}
{% macro m() %}{% if caller %}{{ caller() }}{% else %}none{% endif %}{% endmacro %}{{ m() }}{% call m() %}x{% endcall %}
{% macro outer(a) %}{% macro inner() %}{{ varargs }}{% endmacro %}{{ inner(1, a) }}{% endmacro %}{{ outer(2) }}
{% macro m(a, b) %}{{ varargs }}{% endmacro %}{{ m.name }}{{ m.arguments|length }}{{ m.arguments[0] }}{{ m.caller }}
{% macro m(a, b='x') %}{{ a }}{{ b }}{{ varargs|join('-') }}{{ kwargs.sep }}{% endmacro %}{% set f = m %}{{ f(1, 2, 3, 4, sep='|') }}{{ [1, 2]|map('string')|list }}
{% if true %}{% macro m() %}{{ varargs|sum }}{{ n }}{% endmacro %}{{ m(1, 2, 3) }}{% endif %}{% for i in [1, 2] %}{{ m(i, 10) }}{% endfor %}
{{ kwargs }}|{{ varargs }}|{% macro m() %}{{ kwargs.get('a', 'none') }}{{ varargs[0] }}{{ varargs[-1] }}{% endmacro %}{{ m(1, 2, a='q') }}{{ m() }}
"""

LINKS = r"""
{{ 'see https://example.com/a?b=c&d, or www.x.org.' | urlize }} {{ 'http://a.de:80/p#f' | urlize }} {{ 'HTTPS://A.DE and WWW.b.de' | urlize }}
{{ '(https://a.com/x_(y)) <http://b.io> &lt;www.c.net&gt;' | urlize }} {{ 'python.org, jinja.com/a) a.museum x.de b.co.uk c-d.gov' | urlize }}
{{ 'mail a@b.de or mailto:c@d.org. Not @a@b.de or x:y@z.de or a@b' | urlize }} {{ 'http://1.2.3.4:8080/ http://[::1]:80/ http://[1:2:3::4] http://999' | urlize }}
{{ 'https://example.com/long/path' | urlize(10) }} {{ 'https://example.com' | urlize(nofollow=true, target='_blank') }} {{ 'www.a.de' | urlize(rel='me a"b noopener') }}
{{ 'ftp://a.de tel:123 x' | urlize(extra_schemes=['ftp://', 'tel:']) }} {{ 'ftp://a.de' | urlize }} {{ 'a' | urlize(extra_schemes=['no']) }} {{ 'a.com' | urlize(target='') }}
{{ ' two  www.a.com
	www.b.com ' | urlize }} {{ '<b>a.com</b> "a.com" a&b.com' | urlize }} {{ '<b>' | safe | urlize }} {{ 5 | urlize }} {{ none | urlize }} {{ messages[1].content | urlize }}
{{ 'http://日本.jp/ü https://xn--a.xn--p1ai https://a_b.c-d.com http:// www. https://a' | urlize }} {{ '((www.a.com)) (www.a.com/(b) ).,www.a.com' | urlize }} {{ 'www.a.com' | urlize | length }}
"""

CHANCE = r"""
{{ [7] | random }} {{ 'aaa' | random }} {{ [] | random }}| {{ '' | random }}| {{ [1, 2, 3] | random in [1, 2, 3] }} {{ messages | random is mapping }} {{ 'abc' | random in 'abc' }}
{{ 5 | random }} {{ none | random }} {{ custom | random }} {{ range(9) | random is number }} {{ (1, 2) | random is number }} {{ missing | random }} {{ lipsum is defined }} {{ lipsum(n=1, x=2) }}
"""

WHITESPACE = [
    "a\n{% if true %}\nb\n{% endif %}\nc\n",
    "a\r\n{% if true %}\r\nb{% endif %}\r\nc\r\n",
    "a\r{{ 'x\r\ny' }}\rb",
    "{{ 'a' }}\n\n",
    "\n{{ 'a' }}\n",
    "  {% set a = 1 %}  \n  {{ a }}  \n",
    "x  {%- if true -%}  y  {%- endif -%}  z",
    "x  {%+ if true %}  y  {%+ endif +%}\n  z",
    "  {# c #}\n  d {#- e -#}  f\n",
    "{{- ' a ' -}}  b",
    "{% if true -%}\n\n  a\n{%- endif %}\n\n\n",
    "{% raw %}\n a {% endraw %}\nb",
    "{%- raw %}  a  {%- endraw %}",
    "\t{% if true %}\tx\t{% endif %}\t\n",
    "a {{ 'multi\nline' }} b\n\n{% set x = 'l1\r\nl2' %}{{ x|length }}",
    "{% for i in [1, 2] %}\n{{ i }}\n{% endfor %}",
    "{% for i in [1, 2] -%}\n{{ i }}\n{%- endfor %}\n",
    "\ufeff{{ 1 }}",
    "",
    "plain",
    "{{ '{{' }} {% raw %}}}{% endraw %} }} %} #}",
    "a {%\n  if true\n%}\nb\n{%\nendif\n%} c",
    "  {%- set a = 1 -%}\n\n\u00a0\u2003{{ a }}\u2003{%- set b = 1 %}",
    "{{ 1\n+\n2 }}{{ [\n1,\n2,\n] }}{{ {\n'a': 1,\n} }}",
    "{#a#}{# {% raw %} #}b{%-raw%}{#c#}{%endraw-%}",
    "{{ \"{% if %}\" }}{{ '#}' }}{{ '%}' }}{{ '}}' }}",
    "{% if true %}x{%endif%}\n\n{%- if true %}\n\ny{%- endif %}",
    " {%+ if +1 +%}\na{% else +%}\nb{%+ endif +%}\n",
    "{%- set a=+1 -%} {{-+a-}} {{- + a }}",
]


EXPRESSION = re.compile(r"\{\{ .*? \}\}")


def snippets() -> list[str]:
    """Returns all templates. A line that holds nothing but expressions is a template for each of them."""
    groups = [OPERATORS, PRINTING, STRINGS, CONTAINERS, STATEMENTS, FILTERS, TESTS, GLOBALS, SIGNS, MACROS, LINKS, CHANCE]
    lines = [line for group in groups for line in group.strip().splitlines()]
    templates = []
    for line in lines:
        apart = not EXPRESSION.sub("", line).strip(" |")
        templates += EXPRESSION.findall(line) if apart else [line]
    one_line, _, block = CONVERSATIONS.strip().partition("\n{{- bos_token }}\n")
    return [*templates, *one_line.splitlines(), "{{- bos_token }}\n" + block, *WHITESPACE]
