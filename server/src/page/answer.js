// Answers under way: at most one in a conversation.

const running = new Map();

// Asks the model for an answer to the message `parent`, and calls `changed` whenever the answer grows.
async function generate(conversation, parent, changed) {
    const seed = settings.seed === "" ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(settings.seed);
    const format = settings.format && "json";
    const message = addMessage(conversation, parent, "assistant", { seed, format, stats: { tokens: 0 } });
    const controller = new AbortController();
    running.set(conversation.id, { message, controller });
    const watch = { start: performance.now(), saved: performance.now() };
    try {
        const body = requestBody(pathTo(conversation, parent), seed);
        for await (const chunk of streamChat(body, controller.signal)) {
            grow(message, chunk, watch);
            changed(conversation, message);
            if (performance.now() - watch.saved > 1000) {
                watch.saved = performance.now();
                saveUnlessDeleted(conversation);
            }
        }
    } catch (error) {
        if (error.name === "AbortError") message.finish = "stopped";
        else message.error = { text: error.message, status: error.status };
    }
    // The next answer may have begun: that is how editing stops this one.
    if (running.get(conversation.id)?.message === message) running.delete(conversation.id);
    conversation.updated = Date.now();
    changed(conversation, message);
    await saveUnlessDeleted(conversation);
}

const saveUnlessDeleted = (conversation) => conversations.has(conversation.id) && save(conversation);

const stop = (conversation) => running.get(conversation.id)?.controller.abort();

// Adds a chunk of the stream to an answer. `watch` has the times of this request.
function grow(message, { model, choices, usage, timings, prompt_progress: progress }, watch) {
    const { stats } = message;
    message.model = model ?? message.model;
    if (progress) stats.progress = { read: progress.processed, of: progress.total };
    const [{ delta = {}, logprobs, finish_reason: finish } = {}] = choices ?? [];
    if (delta.content) message.text += delta.content;
    if (delta.reasoning_content) message.reasoning = (message.reasoning ?? "") + delta.reasoning_content;
    for (const call of delta.tool_calls ?? []) growCall((message.calls ??= []), call);
    const tokens = logprobs?.content ?? [];
    if (tokens.length) (message.tokens ??= []).push(...tokens.map(compact));
    if (delta.content || delta.reasoning_content || delta.tool_calls || tokens.length) {
        const now = performance.now();
        watch.first ??= now;
        stats.first = (watch.first - watch.start) / 1000;
        stats.seconds = (now - watch.first) / 1000;
        stats.tokens += Math.max(tokens.length, 1);
        delete stats.progress;
    }
    if (finish) message.finish = finish;
    if (usage) {
        const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
        Object.assign(stats, { prompt: usage.prompt_tokens, cached, tokens: usage.completion_tokens });
    }
    if (timings?.predicted_per_second) stats.speed = timings.predicted_per_second;
}

function growCall(calls, { index = 0, id, function: { name, arguments: input } = {} }) {
    const call = (calls[index] ??= { id, name, input: "" });
    call.id ??= id;
    call.name ??= name;
    call.input += input ?? "";
}

const compact = ({ token, logprob, top_logprobs: top = [] }) => ({
    text: token,
    logprob,
    top: top.map((other) => [other.token, other.logprob]),
});
