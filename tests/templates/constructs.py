"""Templates that join constructs of published ones in ways that are rare but plausible."""

#: Roles in a table, turns by batches, and a system message that may stand anywhere.
TABLE = r"""{%- set roles = {'user': 'Human', 'assistant': 'AI', 'tool': 'Tool'} %}
{%- set system = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | map('trim') | join('\n') %}
{%- if system %}{{ '[[' ~ system ~ ']]' }}{% endif %}
{%- for pair in messages | rejectattr('role', 'eq', 'system') | batch(2) %}
{{ loop.index }}/{{ loop.length }}:
{%- for m in pair %} {{ roles[m.role] | default(m.role | title) }}={{ (m.content if m.content is string else m.content | tojson) | trim | tojson }}{{ ';' if not loop.last }}{% endfor %}
{%- endfor %}
{{ roles.get('assistant') ~ ':' if add_generation_prompt }}"""

#: JSON schemas as TypeScript, by a macro that calls itself and another one.
SCHEMA = r"""{%- macro type_of(spec) -%}
{%- if spec.enum is defined -%}{{ spec.enum | map('tojson') | join(' | ') }}
{%- elif spec.type == 'array' -%}{{ type_of(spec['items']) }}[]
{%- elif spec.type == 'object' -%}{{ fields(spec) }}
{%- elif spec.type is string -%}{{ {'integer': 'number'}.get(spec.type, spec.type) }}
{%- else -%}any{%- endif -%}
{%- endmacro -%}
{%- macro fields(spec) -%}
{ {%- for name, value in spec.properties.items() %} {{ name }}{{ '?' if name not in spec.get('required', []) }}: {{ type_of(value) }}{{ ',' if not loop.last else ' ' }}{% endfor -%} }
{%- endmacro -%}
{%- for tool in tools or [] -%}
{%- set f = tool.function if tool.function is defined else tool -%}
{%- if f.description %}// {{ f.description | replace('\n', ' ') }}
{% endif -%}
function {{ f.name }}(args: {{ fields(f.parameters) }}){{ '\n' if not loop.last }}
{%- endfor %}
{%- for m in messages %}<{{ m.role[0] }}>{{ m.content if m.content is string }}{% endfor %}"""

#: Attributes that are methods of a dict, and items of the same name.
SHADOWS = r"""{% for t in tools or [] %}{% for name, p in t.function.parameters.properties | dictsort %}
{{ name }} {{ p.items is callable }} {{ p['items'] is defined }} {{ p['items'].type | default('-') }} {{ p.get('items', {}).get('type') }} {{ p.keys() | list }} {{ p.values() | list | length }}
{%- endfor %}{% endfor %}{% for m in messages %}{{ m.get('name', 'none') }}{{ m.name or '' }}{{ m['copy'] is defined }}{{ m.pop is defined }}{{ 'content' in m }}{{ m | length }};{% endfor %}"""

#: What a loop knows of itself.
LOOPS = r"""{% for m in messages -%}
{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }}
{{- (loop.previtem or {}).role | default('<start>') }}>{{ m.role }}>{{ loop.nextitem.role if loop.nextitem is defined else '<end>' }}
{{- ' changed' if loop.changed(m.role) }} {{ loop.cycle('odd', 'even') }}
{%- if m.role == 'system' %}{% continue %}{% endif %}
{%- if loop.index > 4 %} stop{% break %}{% endif %}
{% else %}nothing{% endfor %}"""

#: A loop that calls itself with what it contains.
RECURSIVE = r"""{%- for key, value in {'messages': messages, 'tools': tools}.items() recursive -%}
{{ '  ' * loop.depth0 }}{{ key }}:
{%- if value is mapping %}
{{ loop(value.items()) }}
{%- elif value is string or value is none or value is number %} {{ value | string | trim }}
{% else %} [{{ value | length }}]
{% for item in value %}{% if item is mapping %}{{ loop.index0 }}|{{ item.keys() | join(',') }}
{% endif %}{% endfor %}{% endif -%}
{%- endfor -%}"""

#: Variables within loops, conditions, macros, blocks and `with`.
SCOPES = r"""{% set n = 1 %}{% set ns = namespace(n=1, seen=[]) %}
{%- macro show(x=n) %}<{{ x }}{{ n }}{{ m is defined }}>{% endmacro %}
{%- for m in messages %}{% set n = n + 1 %}{% set ns.n = ns.n + 1 %}{% set ns.seen = ns.seen + [m.role[:1]] %}{{ n }}{{ show() }}{{ show(x=n) }}{% endfor %}
{%- if true %}{% set n = 10 %}{% endif %}|{{ n }}|{{ ns.n }}|{{ ns.seen | join }}|{{ show() }}
{%- with n = 5, k = n %}{{ n }}{{ k }}{% set z = 3 %}{% endwith %}{{ z is defined }}{{ k is defined }}
{%- set body %}{% for m in messages %}{{ m.role }} {% endfor %}{% endset %}{{ body | trim | length }}{{ body is string }}
{%- set upper | upper | trim %} {{ messages[0].role }} {% endset %}{{ upper }}
{%- filter replace('a', '4') | upper %}{{ messages[-1].role }} banana{% endfilter %}
{%- block tail %}{{ n }}{% set n = 99 %}{{ n }}{% endblock %}{{ n }}{{ self.tail() }}"""

#: Calls with a body, and macros that take whatever they get.
CALLS = r"""{%- macro tag(name) -%}<{{ name }}{% for k, v in kwargs.items() %} {{ k }}={{ v | tojson }}{% endfor %}>
{%- if caller %}{{ caller(varargs | length, *varargs) }}{% endif %}</{{ name }}>{%- endmacro -%}
{%- for m in messages -%}
{%- call(count, first='-') tag('turn', m.role, index=loop.index, last=loop.last) %}{{ count }}{{ first }}:{{ (m.content | string)[:20] }}{% endcall -%}
{{ tag('end') }}
{%- endfor -%}
{{ tag('gen', **{'on': add_generation_prompt}) if add_generation_prompt }}"""

#: Content parts of many kinds, counted over all messages.
PARTS = r"""{%- set count = namespace(image=0, other=0) -%}
{%- for message in messages -%}
<|{{ message['role'] }}|>
{%- if message['content'] is string or message['content'] is undefined -%}
{{ message['content'] | default('', true) }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' and part.text | trim -%}{{ part.text }}
{%- elif part['type'] in ('image', 'image_url') or 'image' in part -%}{% set count.image = count.image + 1 %}<image_{{ count.image }}>
{%- else -%}{% set count.other = count.other + 1 %}{{ '<%s #%02d>' % (part['type'] | upper, count.other) }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ eos_token if loop.nextitem is not defined or loop.nextitem.role != message.role else '\n' }}
{%- endfor -%}
{{- '<|assistant|>' if add_generation_prompt else '' -}}"""

#: The last answer's thoughts only, whether they have a field or stand in the text.
THOUGHTS = r"""{%- set ns = namespace(last=-1) %}
{%- for m in messages[::-1] if m.role == 'user' and ns.last < 0 %}{% set ns.last = messages.index(m) %}{% endfor %}
{%- for m in messages %}
{%- set content = m.content if m.content is string else '' %}
{%- set thought = m.reasoning_content | default(m.thinking, true) or '' %}
{%- if '</think>' in content %}
{%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
{%- set content = content.split('</think>', 1)[-1].lstrip() %}
{%- endif %}
{{ m.role }}: {% if thought and loop.index0 > ns.last -%}<think>{{ thought.strip() }}</think>{%- endif -%}{{ content }}
{%- endfor %}
{%- if add_generation_prompt %}
assistant: {{ '<think>' if enable_thinking is not defined or enable_thinking else '<think></think>' }}
{%- endif %}"""

#: Results of several calls in one turn, whose calls are found by their ids.
RESULTS = r"""{%- set ns = namespace(names={}, open=false) %}
{%- for m in messages %}
{%- if ns.open and m.role != 'tool' %}{{ '</results>\n' }}{% set ns.open = false %}{% endif %}
{%- if m.tool_calls %}
{%- for call in m.tool_calls %}{% set f = call.function | default(call) %}
{%- set ns.names = dict(ns.names, **{call.id: f.name}) %}
{{- '<call id="%s">' % call.id }}{{ f.name }}({% for k, v in f.arguments.items() if v is not none %}{{ k }}={{ v | tojson(ensure_ascii=false) }}{{ ', ' if not loop.last }}{% endfor %}){{ '</call>\n' }}
{%- endfor %}
{%- elif m.role == 'tool' %}
{%- if not ns.open %}{{ '<results>' }}{% set ns.open = true %}{% endif %}
{{- '\n%s: %s' | format(ns.names[m.tool_call_id] or m.name, m.content) }}
{%- else %}{{ m.role ~ ': ' ~ m.content ~ '\n' }}{% endif %}
{%- endfor %}
{%- if ns.open %}</results>{% endif %}"""

#: Refusals by name, by order and by kind.
STRICT = r"""{%- set allowed = ['system', 'user', 'assistant', 'tool'] -%}
{%- for m in messages -%}
{%- if m.role not in allowed %}{{ raise_exception('unknown role "' ~ m.role ~ '" at ' ~ loop.index0) }}{% endif -%}
{%- if m.role == 'system' and not loop.first %}{{ raise_exception("System message must be first,\n  not at " + loop.index | string) }}{% endif -%}
{%- if loop.previtem and loop.previtem.role == m.role and m.role != 'tool' %}{{ raise_exception('two turns of ' + m.role) }}{% endif -%}
{%- if m.content is not string and m.content is not sequence %}{{ raise_exception('no content in turn {}'.format(loop.index)) }}{% endif -%}
{{ '<%s>' % m.role }}
{%- endfor -%}"""

#: Documents as JSON, XML and text.
DOCS = r"""{%- if documents is defined and documents -%}
{%- for doc in documents | sort(attribute='title', reverse=true) -%}
<doc{{ {'id': loop.index0, 'title': doc.title, 'none': none} | xmlattr }}>{{ doc.text | e | indent(2) }}</doc>
{{ doc | tojson(indent=2, sort_keys=true) }}
{% for k, v in doc | dictsort(reverse=true) %}{{ '%-6s|%6s' | format(k, v | truncate(5, true, '')) }}
{% endfor -%}
{%- endfor -%}
{{ documents | map(attribute='title') | map('upper') | join(', ') }} {{ documents | sum(attribute='n', start=1) if false else documents | count }}
{%- else -%}no documents{%- endif %}
{% for m in messages %}{{ m.content | string | wordwrap(12, wrapstring=' / ') }}
{% endfor %}"""

#: Dates, with and without a value of the user's.
DATES = r"""{%- set today = date_string | default('1970-01-01') -%}
{%- set y, mo, d = today.split('-') if '-' in today else ('1970', '01', '01') -%}
{%- set months = ['Jan', 'Feb', 'Mar'] -%}
{{ d | int }} {{ months[(mo | int) - 1] }} {{ y }} {{ '%02d/%02d' % (mo | int, d | int) }} {{ (y | int) % 4 == 0 }} {{ '{:>4}|{:<4}|{:^4}'.format(d, mo, y[2:]) }} {{ strftime_now is defined }} {{ strftime_now('%Y') | int > 2000 }}"""

#: Groups of turns, and statistics.
GROUPS = r"""{% for role, turns in messages | groupby('role') %}{{ role }}={{ turns | length }}{{ ',' if not loop.last }}{% endfor %}
{{ messages | map(attribute='role') | unique | sort | join('/') }} {{ messages | map(attribute='role') | map('length') | sum }} {{ messages | map(attribute='role') | list | min }} {{ messages | first == messages[0] }}
{{ messages | selectattr('tool_calls', 'defined') | list | length }} {{ messages | selectattr('content', 'string') | map(attribute='content') | map('length') | max }} {{ messages | rejectattr('content') | list | length }}
{{ messages | slice(2) | map('length') | join('-') }} {{ (messages | last).role }} {{ messages | map('attr', 'role') | select | list }} {{ messages | selectattr('role', 'in', ['user', 'tool']) | map(attribute='role') | list }}"""

#: The assistant's text is marked for training, in macros and loops.
TRAINING = r"""{% macro turn(m) %}{{ '<' + m.role + '>' }}{% generation %}{{ m.content | trim }}{{ eos_token }}{% endgeneration %}{% endmacro %}
{%- for m in messages %}{% if m.role == 'assistant' %}
{% generation -%} {{ m.content or '' }} {%- set x = 1 -%} {%- endgeneration %}
{{ x is defined }}{% else %}{{ turn(m) if m.content is string }}{% endif %}{% endfor %}"""

#: Space control of every kind.
SPACES = """{%- for m in messages -%}
  {%- if m.role == 'user' +%}
  U:  {{- m.role -}}  \\n
	{%+ elif m.role == 'assistant' -%}

  A {{ m.role }}
  {# comment -#}

  {%- else %}

  O{{ '\\n' }}

  {%- endif %}

{% endfor -%}
   {%- raw -%}  {{ not }} {% read %}  {%- endraw +%}
end  
"""

#: Undefined values where they are harmless, and where Jinja refuses them.
UNDEFINED = r"""{{ nothing_here }}{{ nothing_here | default('d') }}{{ nothing_here or 'or' }}{{ nothing_here | length }}{{ nothing_here ~ '!' }}{% for x in nothing_here %}x{% else %}none{% endfor %}{{ nothing_here is none }}{{ not nothing_here }}{{ nothing_here == none }}{{ messages[0].foo is defined }}{{ messages[99] is defined }}{{ messages[0]['foo'] | default('bar') }}{{ [nothing_here] | length }}{{ 'x' in (nothing_here | default([])) }}
{%- if messages | length > 3 %}{{ messages[0].foo.bar }}{% elif messages | length > 2 %}{{ nothing_here + 1 }}{% elif tools %}{{ tools | tojson | length }}{{ nothing_here() }}{% endif %}"""

#: Numbers, comparisons and conditions in one expression.
SUMS = r"""{% set n = messages | length %}{{ n }} {{ +n }} {{ -n }} {{ n * 2 - +1 }} {{ n / 2 }} {{ n // 2 }} {{ n % 2 }} {{ 2 ** n }} {{ 0 < n <= 3 }} {{ n in [1, 2] }} {{ n is odd and not n is divisibleby 3 }} {{ 'many' if n > 3 else 'two' if n == 2 else 'few' }} {{ (n / 3) | round(2) }} {{ (n / 3) | round | int }} {{ n | float }} {{ '%.1f%%' | format(100 * n / 7) }} {{ [n, 3] | max }} {{ range(n) | list }} {{ range(n, 0, -2) | list | tojson }} {{ (n ~ '') | int + 1 }} {{ '0x1f' | int(0, 16) }} {{ '7x' | int(-1) }} {{ n | string | length }} {{ 1_000 * n }} {{ n is integer and n is number and n is not boolean }} {{ 1e3 * n }} {{ true + n }}"""

#: Texts in many forms.
TEXTS = r"""{% for m in messages if m.content is string %}{% set c = m.content %}{{ c | capitalize }}|{{ c.strip().title() }}|{{ c[:3] }}|{{ c[-3:] }}|{{ c[::-1] | trim }}|{{ c.split() | length }}|{{ c.split('\n')[0].rstrip('!').lower() }}|{{ c.partition(' ')[2] | upper }}|{{ c.startswith((' ', 'H')) }}|{{ c.find('e') }}|{{ c.count('e') }}|{{ c.replace('e', '3', 1) | trim }}|{{ c.encode is defined }}|{{ c.zfill(3) | wordcount }}|{{ c | striptags }}|{{ c | urlencode }}|{{ c.splitlines() | tojson }}|{{ c | center(8) }}|{{ c.isalpha() }}|{{ '%r' % c }}|{{ c.join(['<', '>']) }}|{{ c | urlize }}|{{ c | reverse | trim }}|{{ c | list | unique | join | trim }}
{% endfor %}"""

#: Dicts and lists that the template builds.
BUILT = r"""{%- set calls = namespace(all=[]) -%}
{%- for m in messages if m.tool_calls -%}{% for c in m.tool_calls %}{% set calls.all = calls.all + [{'name': c.function.name, 'arguments': c.function.arguments, 'n': loop.index}] %}{% endfor %}{%- endfor -%}
{{ calls.all | tojson }}{{ calls.all | tojson(indent=1, separators=(',', ':')) }}{{ calls.all | map(attribute='name') | list }}{{ calls.all | map(attribute='arguments.city') | list }}{{ calls.all | string | length }}
{%- set merged = dict(messages[0], extra=[1, (2, 3), {'k': none}], **{'role': 'x'}) %}{{ merged.role }}{{ merged.extra }}{{ merged | items | list | length }}{{ merged == messages[0] }}{{ {'a': 1, 'b': 2.0} == {'b': 2, 'a': true} }}{{ [1, 'a', none, true, 1.0, {}] }}{{ (1,) }}{{ () }}{{ {'x': {'y': ['z']}}.x.y[0] }}{{ dict([('p', 1), ['q', 2]]) }}{{ merged.update is defined }}{{ messages + [merged] | length if false else (messages + [merged]) | length }}"""

#: What Python's sandbox refuses: to change a value, or to reach its inside.
FORBIDDEN = r"""{% set l = [1] %}{% if messages | length == 1 %}{{ l.append(2) }}{% elif messages | length == 2 %}{% set _ = messages[0].update({'a': 1}) %}{% elif messages | length == 3 %}{{ ''.__class__ }}|{{ ''.__class__.__mro__ }}{% elif tools %}{% do l.append(1) %}{% else %}{{ l.__len__ is defined }}{{ messages.clear is defined }}{{ l.pop() }}{% endif %}"""

CONSTRUCTS = [
    TABLE, SCHEMA, SHADOWS, LOOPS, RECURSIVE, SCOPES, CALLS, PARTS, THOUGHTS, RESULTS, STRICT, DOCS, DATES, GROUPS,
    TRAINING, SPACES, UNDEFINED, SUMS, TEXTS, BUILT, FORBIDDEN, FORBIDDEN.replace("{% do l.append(1) %}", "{{ l.insert(0, 1) }}"),
]
