// OpenAI's client for Node.js: chats, tools, structured output, responses and models.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { Server } from "../page/server.mjs";

const require = createRequire(`${process.env.PACKAGES}/`);
const OpenAI = require("openai");

const server = await Server.start("--api-key", "sesame");
const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "sesame", maxRetries: 0 });

const model = "fairy-tales";
const messages = [{ role: "user", content: "Tell me a story" }];
const city = {
    type: "object",
    properties: { city: { type: "string", enum: ["Rome", "Oslo"] } },
    required: ["city"],
    additionalProperties: false,
};

test("the models are listed and retrieved", async () => {
    const names = [];
    for await (const { id } of client.models.list()) names.push(id);
    assert.deepEqual(names, [model]);
    assert.equal((await client.models.retrieve(model)).object, "model");
});

test("a chat streams what it answers", async () => {
    const request = { model, messages, max_completion_tokens: 12, seed: 7 };
    const { data: whole, request_id } = await client.chat.completions.create(request).withResponse();
    assert.match(request_id, /^\w+$/);
    // The helper puts the chunks together, and refuses those that do not fit.
    const stream = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    const final = await stream.finalChatCompletion();
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(final.choices[0].message.content, text);
    assert.equal(final.choices[0].finish_reason, "length");
    assert.deepEqual((await stream.totalUsage()).completion_tokens, 12);
});

test("a stream that is left is cancelled", async () => {
    const request = { model, messages, stream: true, extra_body: { ignore_eos: true } };
    for await (const chunk of await client.chat.completions.create(request)) {
        if (chunk.choices[0].delta.content) break;
    }
    assert.equal((await client.chat.completions.create({ model, messages, max_tokens: 1 })).object, "chat.completion");
});

test("tools are run until there is an answer", async () => {
    const asked = [];
    const weather = {
        type: "function",
        function: {
            name: "get_weather",
            description: "Tell the weather",
            parameters: city,
            parse: JSON.parse,
            function: ({ city }) => {
                asked.push(city);
                return `Snow in ${city}`;
            },
        },
    };
    const tool_choice = { type: "function", function: { name: "get_weather" } };
    for (const stream of [false, true]) {
        const request = { model, messages, tools: [weather], tool_choice, temperature: 0, stream };
        const runner = client.chat.completions.runTools(request);
        assert.match(await runner.finalFunctionToolCallResult(), /^Snow in (Rome|Oslo)$/);
    }
    assert.equal(asked.length, 2);
    assert.equal(asked[0], asked[1]);
});

test("structured output is parsed", async () => {
    const json_schema = { name: "city", schema: city, strict: true };
    const response_format = { type: "json_schema", json_schema };
    const answer = await client.chat.completions.create({ model, messages, response_format, temperature: 0 });
    assert.ok(["Rome", "Oslo"].includes(JSON.parse(answer.choices[0].message.content).city));
    const text = { format: { type: "json_schema", ...json_schema } };
    const response = await client.responses.parse({ model, input: "Name a city", text, temperature: 0 });
    assert.ok(["Rome", "Oslo"].includes(response.output_parsed.city));
});

test("a response streams what it answers", async () => {
    const request = { model, input: messages, instructions: "Be brief.", max_output_tokens: 16, temperature: 0 };
    const whole = await client.responses.create(request);
    assert.equal(whole.status, "incomplete");
    const stream = client.responses.stream(request);
    let text = "";
    stream.on("response.output_text.delta", ({ delta, snapshot }) => {
        text += delta;
        assert.equal(snapshot, text);
    });
    const final = await stream.finalResponse();
    assert.equal(final.output_text, whole.output_text);
    assert.equal(text, whole.output_text);
});

test("a response calls functions", async () => {
    const tools = [{ type: "function", name: "answer", parameters: city, strict: true }];
    const request = { model, input: "Where is it?", tools, tool_choice: "required", temperature: 0 };
    const { output } = await client.responses.create({ ...request, parallel_tool_calls: false });
    assert.deepEqual(
        output.map(({ type, name }) => [type, name]),
        [["function_call", "answer"]],
    );
    assert.ok(JSON.parse(output[0].arguments).city);
});

test("faults are exceptions", async () => {
    const refused = (request) => client.chat.completions.create({ model, messages, ...request });
    await assert.rejects(refused({ model: "gpt-4" }), (error) => {
        assert.ok(error instanceof OpenAI.NotFoundError);
        assert.equal(error.code, "model_not_found");
        return true;
    });
    await assert.rejects(refused({ temperature: -1 }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.param, "temperature");
        return true;
    });
    const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "wrong", maxRetries: 0 });
    await assert.rejects(stranger.models.retrieve(model), OpenAI.AuthenticationError);
});
