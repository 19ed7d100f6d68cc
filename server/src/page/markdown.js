// Markdown as elements: the blocks and spans that models use. Anything else stays as it is written.

const FENCE = /^ {0,3}(`{3,}|~{3,}) *([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6}) +(.*?)[ #]*$/;
const RULE = /^ {0,3}([-*_])( *\1){2,} *$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|(\d{1,9})[.)]) +/;
const CELLS = /^ *\|?( *:?-+:? *\|)+ *(:?-+:? *)?$/;

// Spans are limited, so that a text full of openings takes no quadratic time.
const SPAN = new RegExp(
    [
        /\\(?<escaped>[!-/:-@[-`{-~])/,
        /(?<ticks>`{1,8})(?<code>[^`](?:.{0,500}?[^`])?)\k<ticks>(?!`)/,
        /\[(?<label>[^\]\n]{1,300})\]\((?<target>[^\s()]{1,1000}(?:\([^\s()]*\))?)(?: +"[^"]*")?\)/,
        /(?<url>https?:\/\/[^\s<>()]{1,500}[^\s<>().,:;!?'"*_])/,
        /\*\*(?<bold>\S(?:.{0,800}?\S)?)\*\*/,
        /(?<!\w)__(?<strong>\S(?:.{0,800}?\S)?)__(?!\w)/,
        /\*(?<italic>[^\s*](?:.{0,800}?[^\s*])?)\*/,
        /(?<!\w)_(?<emphasis>[^\s_](?:.{0,800}?[^\s_])?)_(?!\w)/,
        /~~(?<struck>\S(?:.{0,800}?\S)?)~~/,
    ]
        .map((part) => part.source)
        .join("|"),
    "gs",
);

const DEEPEST = 8;

// Shows `source` in `place`. Blocks that have not changed since the last call stay, with selection and scroll position.
function showMarkdown(place, source) {
    const blocks = split(source.split("\n"));
    const old = place.sources ?? [];
    place.sources = blocks.map(({ lines }) => lines.join("\n"));
    blocks.forEach((block, i) => {
        if (place.sources[i] === old[i]) return;
        const element = build(block, 0);
        if (i < place.children.length) place.children[i].replaceWith(element);
        else place.append(element);
    });
    while (place.children.length > blocks.length) place.lastChild.remove();
}

function split(lines) {
    const blocks = [];
    for (let i = 0; i < lines.length;) {
        const block = take(lines, i);
        if (block.kind !== "blank") blocks.push(block);
        i += block.lines.length;
    }
    return blocks;
}

// Returns the block that begins at line `i`.
function take(lines, i) {
    const line = lines[i];
    const until = (kind, ends) => {
        let end = i + 1;
        while (end < lines.length && !ends(lines[end], end)) end += 1;
        return { kind, lines: lines.slice(i, end) };
    };
    const fence = FENCE.exec(line);
    if (fence) {
        const block = until(
            "code",
            (next) => next.trim().startsWith(fence[1]) && FENCE.exec(next)?.[2] === "",
        );
        if (i + block.lines.length < lines.length) block.lines.push(lines[i + block.lines.length]);
        return block;
    }
    if (!line.trim()) return until("blank", () => true);
    if (HEADING.test(line)) return until("heading", () => true);
    if (RULE.test(line)) return until("rule", () => true);
    if (QUOTE.test(line)) return until("quote", (next) => !QUOTE.test(next));
    const item = ITEM.exec(line);
    if (item) {
        const belongs = (next) =>
            next.startsWith(" ") || (ITEM.test(next) && !item[3] === !ITEM.exec(next)[3]);
        return until("list", (next, at) => {
            if (!next.trim()) return !belongs(lines[at + 1] ?? "");
            return !belongs(next) && (begins(next) || !lines[at - 1].trim());
        });
    }
    if (line.includes("|") && CELLS.test(lines[i + 1] ?? ""))
        return until("table", (next) => !next.includes("|"));
    return until("paragraph", (next) => !next.trim() || begins(next));
}

const begins = (line) => [FENCE, HEADING, RULE, QUOTE, ITEM].some((pattern) => pattern.test(line));

function build({ kind, lines }, depth) {
    if (depth > DEEPEST) return h("p", {}, lines.join("\n"));
    return BUILDERS[kind](lines, depth);
}

const nested = (lines, depth) => split(lines).map((block) => build(block, depth + 1));

const BUILDERS = {
    paragraph: (lines) => h("p", {}, spans(lines.map((line) => line.trim()).join("\n"))),
    // A message has a heading of its own, of level 2.
    heading([line]) {
        const [, marks, text] = HEADING.exec(line);
        return h("h3", { class: `level${marks.length}` }, spans(text));
    },
    rule: () => h("hr"),
    quote: (lines, depth) =>
        h(
            "blockquote",
            {},
            nested(
                lines.map((line) => line.replace(QUOTE, "")),
                depth,
            ),
        ),
    code(lines) {
        const [, marks, language] = FENCE.exec(lines[0]);
        const closed = lines.length > 1 && lines.at(-1).trim().startsWith(marks);
        return codeBlock(lines.slice(1, closed ? -1 : undefined).join("\n"), language.trim());
    },
    list(lines, depth) {
        const [, indent, , start] = ITEM.exec(lines[0]);
        const items = [];
        for (const line of lines) {
            const item = ITEM.exec(line);
            if (item && item[1].length <= indent.length + 1)
                items.push({ width: item[0].length, lines: [line.slice(item[0].length)] });
            else items.at(-1).lines.push(line.slice(Math.min(items.at(-1).width, line.search(/\S|$/))));
        }
        const isLoose = lines.some((line) => !line.trim());
        const list = items.map((item) => {
            const content = nested(item.lines, depth);
            const isText = !isLoose && content[0]?.localName === "p";
            return h("li", {}, isText ? [...content.shift().childNodes] : [], content);
        });
        return start === undefined ? h("ul", {}, list) : h("ol", { start }, list);
    },
    table([head, , ...rows]) {
        const cells = (line) =>
            line
                .trim()
                .replace(/^\||\|$/g, "")
                .split(/(?<!\\)\|/)
                .map((cell) => spans(cell.trim()));
        const row = (line, name) =>
            h(
                "tr",
                {},
                cells(line).map((cell) => h(name, {}, cell)),
            );
        const table = h(
            "table",
            {},
            h("thead", {}, row(head, "th")),
            h(
                "tbody",
                {},
                rows.map((line) => row(line, "td")),
            ),
        );
        return h(
            "div",
            { class: "wide-content", tabindex: "0", role: "group", "aria-label": "Table" },
            table,
        );
    },
};

function codeBlock(text, language = "") {
    const head = h(
        "div",
        { class: "row" },
        h("span", {}, language || "text"),
        copyButton(() => text, "Copy the code"),
    );
    return h("div", { class: "code-block" }, head, h("pre", { tabindex: "0" }, h("code", {}, text)));
}

// Returns the nodes of a text with code, links and emphasis.
function spans(text) {
    const nodes = [];
    let end = 0;
    for (const match of text.matchAll(SPAN)) {
        nodes.push(text.slice(end, match.index), span(match.groups, match[0]));
        end = match.index + match[0].length;
    }
    return [...nodes, text.slice(end)];
}

function span({ escaped, code, label, target, url, bold, strong, italic, emphasis, struck }, source) {
    if (escaped) return escaped;
    if (code) return h("code", {}, code.trim());
    if (url) return link(url, [url]);
    if (label) return /^(https?:|mailto:)/i.test(target) ? link(target, spans(label)) : source;
    if (bold ?? strong) return h("strong", {}, spans(bold ?? strong));
    if (italic ?? emphasis) return h("em", {}, spans(italic ?? emphasis));
    return h("s", {}, spans(struck));
}

const link = (href, content) =>
    h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, content);
