// The server's API, and its failures in plain words.

class Failure extends Error {
    constructor(message, status = 0) {
        super(message);
        this.status = status;
    }
}

const GONE = "The server cannot be reached. It may have stopped, or the network is gone.";
const BROKEN = "The connection broke before the answer was complete. The server may have stopped.";

// Returns the answer to a request. Throws a Failure unless it succeeds, and AbortError if it is stopped.
async function call(route, init = {}) {
    const headers = { "Content-Type": "application/json" };
    if (settings.key) headers.Authorization = `Bearer ${settings.key}`;
    let answer;
    try {
        answer = await fetch(route, { ...init, headers, credentials: "omit" });
    } catch (error) {
        throw error.name === "AbortError" ? error : new Failure(GONE);
    }
    if (!answer.ok) throw new Failure(await explain(answer), answer.status);
    return answer;
}

async function explain(answer) {
    const text = await answer.text().catch(() => "");
    let message = text;
    try {
        message = JSON.parse(text).error.message;
    } catch {
        /* No error object: the text itself is all there is. */
    }
    const seconds = answer.headers.get("Retry-After");
    if (answer.status === 401)
        return settings.key ? "The server refuses this API key." : "The server asks for an API key.";
    if (answer.status === 429)
        return `The server is busy. Try again${seconds ? ` in ${seconds} s` : " later"}.`;
    return message || `The server answers with status ${answer.status}.`;
}

const getJson = async (route) => (await call(route)).json();

// Yields the chunks of a chat's answer.
async function* streamChat(body, signal) {
    const answer = await call("v1/chat/completions", { method: "POST", body: JSON.stringify(body), signal });
    for await (const data of events(answer.body)) {
        if (data === "[DONE]") return;
        const chunk = JSON.parse(data);
        if (chunk.error) throw new Failure(chunk.error.message, chunk.error.code);
        yield chunk;
    }
    throw new Failure(BROKEN);
}

// Yields the data of server-sent events, each of which is one line.
async function* events(stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    try {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) return;
            const lines = (rest + value).split(/\r?\n/);
            rest = lines.pop();
            for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
        }
    } catch (error) {
        throw error.name === "AbortError" ? error : new Failure(BROKEN);
    } finally {
        reader.cancel().catch(() => {});
    }
}

// Returns the body of a request for the answer to `path`. Throws a Failure if a setting is wrong.
function requestBody(path, seed) {
    const body = {
        messages: apiMessages(path, settings.system),
        seed,
        stream: true,
        stream_options: { include_usage: true },
        return_progress: true,
    };
    if (settings.model) body.model = settings.model;
    for (const name of ["temperature", "top_p", "top_k", "min_p", "max_tokens"]) {
        if (settings[name] !== "") body[name] = Number(settings[name]);
    }
    const stop = settings.stop.split("\n").filter(Boolean);
    if (stop.length) body.stop = stop;
    if (settings.logprobs) Object.assign(body, { logprobs: true, top_logprobs: 5 });
    if (settings.format === "json_object") body.response_format = { type: "json_object" };
    if (settings.format === "json_schema") {
        body.response_format = {
            type: "json_schema",
            json_schema: { name: "answer", strict: true, schema: parse("JSON schema", settings.schema) },
        };
    }
    const tools = settings.tools.trim() ? parse("Tools", settings.tools) : [];
    if (tools.length !== 0) Object.assign(body, { tools, tool_choice: settings.tool_choice });
    return body;
}

function parse(name, text) {
    try {
        return JSON.parse(text);
    } catch (error) {
        throw new Failure(`“${name}” in the settings is no JSON: ${error.message}`);
    }
}
