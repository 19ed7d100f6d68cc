// A conversation is a tree of messages. `leaf` is the last message of the branch on show.
//
// A message has `id`, `parent`, `role` and `text`. An answer also has `model`, `seed`, `stats` and `finish`, and if there
// are any: `reasoning`, `tokens` (with probabilities), `calls` of tools, `error`, and `format` if it is JSON.

const newId = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join(
        "",
    );

function newConversation() {
    return { id: newId(), title: "", updated: Date.now(), messages: [], leaf: null };
}

const messageOf = (conversation, id) => conversation.messages.find((message) => message.id === id);

// Returns the messages from the first one to `id`.
function pathTo(conversation, id) {
    const byId = new Map(conversation.messages.map((message) => [message.id, message]));
    const path = [];
    for (let message = byId.get(id); message; message = byId.get(message.parent)) path.unshift(message);
    return path;
}

const siblings = (conversation, message) =>
    conversation.messages.filter((other) => other.parent === message.parent);

function addMessage(conversation, parent, role, fields) {
    const message = { id: newId(), parent, role, text: "", ...fields };
    conversation.messages.push(message);
    conversation.leaf = message.id;
    conversation.updated = Date.now();
    return message;
}

// Shows the branch of `message`, down to its newest end.
function selectBranch(conversation, message) {
    conversation.leaf = message.id;
    const child = conversation.messages.findLast((other) => other.parent === message.id);
    if (child) selectBranch(conversation, child);
}

function titleOf(conversation) {
    const first = conversation.messages.find((message) => message.role === "user")?.text.trim();
    return conversation.title || first?.split("\n")[0].slice(0, 80) || "New conversation";
}

// Returns messages in the form of the API. Answers that failed before their first word say nothing.
function apiMessages(path, system) {
    const messages = path
        .filter(({ role, text, calls }) => role !== "assistant" || text || calls)
        .map(apiMessage);
    return system ? [{ role: "system", content: system }, ...messages] : messages;
}

function apiMessage({ role, text, calls, call }) {
    const message = { role, content: text };
    const apiCall = ({ id, name, input }) => ({ id, type: "function", function: { name, arguments: input } });
    if (calls) message.tool_calls = calls.map(apiCall);
    if (call) message.tool_call_id = call;
    return message;
}

// Returns a conversation that a file holds, with nothing but what this page knows. Throws a readable error.
function readConversation(value) {
    const must = (condition, problem) => {
        if (!condition) throw new Error(problem);
    };
    must(isText(value?.id) && Array.isArray(value.messages), "a conversation lacks `id` or `messages`");
    const known = new Set();
    const messages = value.messages.map((message) => {
        must(isText(message?.id) && isText(message.text), "a message lacks `id` or `text`");
        must(ROLES.includes(message.role), `${JSON.stringify(message.role)} is no role`);
        must(message.parent === null || known.has(message.parent), "a message comes before its parent");
        known.add(message.id);
        return readMessage(message);
    });
    must(messages.length === 0 || known.has(value.leaf), "`leaf` is no message");
    const { id, leaf } = value;
    return { title: "", updated: Date.now(), ...keep(value, ["title"], ["updated"]), id, leaf, messages };
}

const isText = (value) => typeof value === "string";
const isNumber = Number.isFinite;

// Returns the named fields of `value` that are texts, and those that are numbers.
function keep(value, texts, numbers) {
    const kept = {};
    for (const name of texts) if (isText(value[name])) kept[name] = value[name];
    for (const name of numbers) if (isNumber(value[name])) kept[name] = value[name];
    return kept;
}

const ROLES = ["user", "assistant", "tool"];
const TEXTS = ["id", "role", "text", "reasoning", "model", "format", "finish", "call"];
const STATS = ["tokens", "seconds", "speed", "first", "prompt", "cached"];

function readMessage(value) {
    const message = { parent: value.parent, ...keep(value, TEXTS, ["seed"]) };
    const isCall = (call) => isText(call?.name) && isText(call.input);
    const isPair = (pair) => isText(pair?.[0]) && isNumber(pair[1]);
    const isToken = (token) =>
        isText(token?.text) && isNumber(token.logprob) && Array.isArray(token.top) && token.top.every(isPair);
    if (value.stats) message.stats = keep(value.stats, [], STATS);
    if (Array.isArray(value.calls) && value.calls.every(isCall)) message.calls = value.calls;
    if (Array.isArray(value.tokens) && value.tokens.every(isToken)) message.tokens = value.tokens;
    if (isText(value.error?.text)) message.error = keep(value.error, ["text"], ["status"]);
    return message;
}
