// A message on the page. `acts` has what its buttons do.

function messageView(conversation, message, acts) {
    const body = h("div", { class: "body" });
    const foot = h("div", { class: "foot" });
    const author = { user: "You", assistant: "Model", tool: "Result of a tool" }[message.role];
    const heading = h("h2", { class: "unseen" }, author);
    const element = h("article", { class: `message ${message.role}` }, heading, body, foot);
    const view = { element, showsTokens: true, update };
    const showText = () => body.replaceChildren(message.text);
    const showBody = message.role === "assistant" ? answerBody(view, message, acts, body) : showText;

    function update() {
        const isRunning = running.get(conversation.id)?.message === message;
        element.classList.toggle("running", isRunning);
        element.setAttribute("aria-busy", isRunning);
        showBody(isRunning);
        fill(
            foot,
            !isRunning && h("div", { class: "actions" }, actions(view, message, acts)),
            branches(conversation, message, acts),
            message.stats && h("div", { class: "stats" }, describe(message, isRunning)),
        );
    }
    update();
    return view;
}

// Adds the parts of an answer to `body`, and returns a function that fills them.
function answerBody(view, message, acts, body) {
    const thought = h("p", { class: "thought" });
    const thoughts = h("details", { open: !message.finish }, h("summary", {}, "Thoughts"), thought);
    const text = h("div", { class: "markdown" });
    const tokens = tokensPlace();
    const rest = h("div", {});
    body.append(thoughts, text, tokens, rest);
    return (isRunning) => {
        const showsTokens = view.showsTokens && Boolean(message.tokens);
        thoughts.hidden = !message.reasoning;
        thought.textContent = message.reasoning ?? "";
        tokens.hidden = !showsTokens;
        text.hidden = showsTokens;
        if (showsTokens) showTokens(tokens, message.tokens);
        else if (message.format === "json") showMarkdown(text, "```json\n" + message.text);
        else showMarkdown(text, message.text);
        if (isRunning && !message.text && !message.calls) text.replaceChildren(h("p", {}));
        fill(
            rest,
            message.calls?.map(callView),
            !isRunning && message.calls && acts.isLeaf(message) && resultsForm(message, acts),
            message.error && failureForm(message, acts),
        );
    };
}

function actions(view, message, acts) {
    const toggle = () => {
        view.showsTokens = !view.showsTokens;
        view.update();
    };
    return [
        message.text && copyButton(() => message.text),
        message.role === "user" && iconButton("edit", "Edit", () => edit(view, message, acts)),
        message.role === "assistant" &&
            !(message.error && !message.text) &&
            iconButton("again", "Answer again", () => acts.again(message)),
        message.tokens &&
            iconButton("chart", "Show probabilities", toggle, { "aria-pressed": String(view.showsTokens) }),
    ];
}

// Returns the switch between a message and its siblings, if it has any.
function branches(conversation, message, acts) {
    const all = siblings(conversation, message);
    const at = all.indexOf(message);
    const go = (name, label, to) => iconButton(name, label, () => acts.select(to), { disabled: !to });
    const left = go("left", "Previous version", all[at - 1]);
    const right = go("right", "Next version", all[at + 1]);
    const count = h("span", {}, `${at + 1} / ${all.length}`);
    return all.length > 1 && h("div", { class: "branches" }, left, count, right);
}

function callView({ name, input }) {
    let pretty = input;
    try {
        pretty = JSON.stringify(JSON.parse(input), null, 2);
    } catch {
        // The arguments are not complete yet.
    }
    return h("div", { class: "call" }, codeBlock(pretty, `call of ${name}`));
}

// Returns the reason of an unusual end. An answer without one was under way when its page was closed.
const endOf = (finish) =>
    ({ length: "cut at its limit", stopped: "stopped", undefined: "interrupted" })[finish];

// Returns tokens per second. The first token waits for the prompt: its successors tell the speed.
const speedOf = ({ tokens, seconds, speed }) =>
    speed ?? (tokens > 1 && seconds > 0 ? (tokens - 1) / seconds : undefined);

function describe({ stats, seed, finish, error }, isRunning) {
    const { tokens, first, prompt, cached, progress } = stats;
    const speed = speedOf(stats);
    const facts = [
        progress && `reading the prompt: ${grouped(progress.read)} of ${grouped(progress.of)} tokens`,
        tokens > 0 && `${grouped(tokens)} ${tokens === 1 ? "token" : "tokens"}`,
        speed && `${speed < 10 ? speed.toFixed(1) : grouped(Math.round(speed))} tokens/s`,
        first !== undefined && `first after ${first.toFixed(2)} s`,
        prompt && `prompt ${grouped(prompt)}${cached ? `, ${grouped(cached)} cached` : ""}`,
        !isRunning && !error && endOf(finish),
        !isRunning && tokens > 0 && `seed ${seed}`,
    ];
    return facts.filter(Boolean).map((fact) => h("span", {}, fact));
}
