import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, answer, ask, importAnswer, open, send } from "./harness.mjs";

const server = await Server.start();
const few = { max_tokens: "12", seed: "7" };

test("an answer streams, and tells its tokens, its speed and its seed", async () => {
    const page = await open(server, { settings: few });
    const text = await ask(page, "Tell me a story");
    const request = { messages: [{ role: "user", content: "Tell me a story" }], max_tokens: 12, seed: 7 };
    const alone = await fetch(`${server.url}/v1/chat/completions`, {
        method: "POST",
        body: JSON.stringify(request),
    });
    assert.equal(text, (await alone.json()).choices[0].message.content.trim());
    const stats = await page.locator(".stats").innerText();
    for (const fact of [
        /12 tokens/,
        /tokens\/s/,
        /first after [\d.]+ s/,
        /prompt \d+/,
        /cut at its limit/,
        /seed 7/,
    ])
        assert.match(stats, fact);
    assert.match(await page.locator("#context").innerText(), /of 512 tokens/);
    await ask(page, "And then?");
    assert.match(await page.locator(".stats").last().innerText(), /\d+ cached/);
    assert.deepEqual(page.problems, []);
});

test("stop ends an answer and keeps its beginning", async () => {
    const page = await open(server, { settings: { seed: "7" } });
    server.freeze();
    await send(page, "Tell me a story");
    await server.crawl(() => page.locator(".assistant .body").innerText());
    await page.keyboard.press("Escape");
    assert.ok(await answer(page));
    assert.match(await page.locator(".stats").innerText(), /stopped/);
    server.thaw();
    await page.getByLabel("Settings", { exact: true }).first().click();
    await page.getByLabel("Most tokens").fill("5");
    assert.ok(await ask(page, "Go on"));
});

test("answers and questions have versions", async () => {
    const page = await open(server, { settings: { max_tokens: "12" } });
    const first = await ask(page, "Tell me a story");
    await page.getByLabel("Answer again").click();
    const second = await answer(page);
    assert.equal(await page.locator(".branches").innerText(), "2 / 2");
    await page.getByLabel("Previous version").click();
    assert.equal(await answer(page), first);
    await page.getByLabel("Next version").click();
    assert.equal(await answer(page), second);

    await page.locator(".user").hover();
    await page.getByLabel("Edit").click();
    await page.locator(".edit textarea").fill("Tell me of the sea");
    await page.keyboard.press("Enter");
    await answer(page);
    assert.equal(await page.locator(".user .body").innerText(), "Tell me of the sea");
    await page.locator(".user").hover();
    await page.locator(".user").getByLabel("Previous version").click();
    assert.equal(await page.locator(".user .body").innerText(), "Tell me a story");
    assert.equal(await answer(page), second);
    assert.deepEqual(page.problems, []);
});

test("the settings go with the request", async () => {
    const page = await open(server);
    await page.keyboard.press("Alt+s");
    const values = {
        "System prompt": "Be brief.",
        Temperature: "0.5",
        "Most tokens": "9",
        "Top-p": "0.9",
        "Top-k": "40",
        "Min-p": "0.1",
        Seed: "3",
    };
    for (const [label, value] of Object.entries(values))
        await page.getByLabel(label, { exact: true }).fill(value);
    await page.getByLabel("Stop strings, one a line").fill("END\nUser:");
    await page.getByLabel("Show the probability of every token").check();
    const request = page.waitForRequest("**/v1/chat/completions");
    await ask(page, "Hello");
    const { messages, stream, stream_options, return_progress, ...rest } = (await request).postDataJSON();
    assert.deepEqual(messages, [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hello" },
    ]);
    assert.ok(stream && stream_options.include_usage && return_progress);
    const sampling = {
        temperature: 0.5,
        max_tokens: 9,
        top_p: 0.9,
        top_k: 40,
        min_p: 0.1,
        seed: 3,
        stop: ["END", "User:"],
    };
    assert.deepEqual(rest, { ...sampling, logprobs: true, top_logprobs: 5 });
});

test("tokens show their alternatives", async () => {
    const page = await open(server, { settings: { ...few, logprobs: true } });
    const text = await ask(page, "Tell me a story");
    assert.equal(await page.locator(".token").count(), 12);
    await page.locator(".token").nth(3).hover();
    const rows = page.locator("#chart .row");
    const shares = await rows.locator("span:last-child").allInnerTexts();
    assert.ok(shares.length >= 5 && shares.every((share) => /^[\d.]+ %$/.test(share)), shares.join());
    assert.equal(await page.locator("#chart .chosen").count(), 1);
    await page.locator(".token").first().focus();
    await page.keyboard.press("ArrowRight");
    assert.ok(
        await page
            .locator(".token")
            .nth(1)
            .evaluate((token) => token === document.activeElement),
    );
    await page.getByLabel("Show probabilities").click();
    assert.equal(await page.locator(".markdown").innerText(), text.trim());
});

test("Markdown becomes elements, and never a script", async () => {
    const page = await open(server);
    const text = [
        "# Title",
        "A **bold** word, `code` and [a link](https://example.org).",
        "- one\n- two\n  1. inner",
        "> quote",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        '```js\nconst a = "<b>";\n```',
        '<img src=x onerror="window.hurt = true"><script>window.hurt = true</script>',
        "[hurt](javascript:window.hurt=true)",
        "**".repeat(20_000),
        `x ${"`".repeat(50_000)}`,
    ];
    await importAnswer(page, { text: text.join("\n\n") });
    const body = page.locator(".assistant .markdown");
    for (const [selector, content] of Object.entries({
        h3: "Title",
        "p > strong": "bold",
        "p > code": "code",
        "ul > li:first-child": "one",
        "li ol > li": "inner",
        blockquote: "quote",
        th: "a",
        "td:last-child": "2",
        "pre code": 'const a = "<b>";',
    }))
        assert.equal(await body.locator(selector).first().innerText(), content, selector);
    assert.deepEqual(await body.locator("a").evaluateAll((links) => links.map(({ href }) => href)), [
        "https://example.org/",
    ]);
    assert.equal(await body.locator("img, script").count(), 0);
    assert.equal(await page.evaluate(() => window.hurt), undefined);
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByLabel("Copy the code").click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'const a = "<b>";');
    assert.deepEqual(page.problems, []);
});

test("calls of tools are shown, and their results go back", async () => {
    const page = await open(server, { settings: { tools: "[]" } });
    const call = {
        index: 0,
        id: "call_1",
        type: "function",
        function: { name: "weather", arguments: '{"place":' },
    };
    const deltas = [
        { delta: { role: "assistant", tool_calls: [call] } },
        { delta: { tool_calls: [{ index: 0, function: { arguments: '"Rome"}' } }] } },
        { delta: {}, finish_reason: "tool_calls" },
    ];
    const body = [...deltas.map((choice) => JSON.stringify({ model: "m", choices: [choice] })), "[DONE]"]
        .map((data) => `data: ${data}\n\n`)
        .join("");
    const fake = (route) => route.fulfill({ contentType: "text/event-stream", body });
    await page.route("**/v1/chat/completions", fake);
    await send(page, "How is the weather?");
    assert.match(await page.locator(".call").innerText(), /weather[^]*"place": "Rome"/);
    await page.unroute("**/v1/chat/completions", fake);
    await page.getByLabel("Result of weather").fill("sunny");
    const request = page.waitForRequest("**/v1/chat/completions");
    await page.getByRole("button", { name: "Send the results" }).click();
    const { messages } = (await request).postDataJSON();
    assert.deepEqual(messages[1].tool_calls, [
        { id: "call_1", type: "function", function: { name: "weather", arguments: '{"place":"Rome"}' } },
    ]);
    assert.deepEqual(messages[2], { role: "tool", content: "sunny", tool_call_id: "call_1" });
});
