import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, answer, ask, open, send } from "./harness.mjs";

const failure = (page) => page.getByRole("alert").locator("p").innerText();

test("a server that dies leaves the text and an explanation", async () => {
    const server = await Server.start();
    const page = await open(server, { settings: { seed: "7" } });
    server.freeze();
    await send(page, "Tell me a story");
    await server.crawl(() => page.locator(".assistant .body").innerText());
    await server.kill();
    assert.match(await failure(page), /connection broke/);
    assert.ok(await page.locator(".assistant .markdown").innerText());
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("alert").getByText("cannot be reached").waitFor();
    await page.getByLabel("Previous version").click();
    assert.ok(await page.locator(".assistant .markdown").innerText());
    assert.deepEqual(page.problems, []);
});

test("the page asks for a key, and keeps it for the tab", async () => {
    const server = await Server.start("--api-key", "secret");
    const page = await open(server, { settings: { max_tokens: "5" } });
    assert.equal(await page.locator("#model-name").innerText(), "API key needed");
    await send(page, "Hello");
    assert.match(await failure(page), /asks for an API key/);
    await page.getByRole("alert").getByLabel("API key").fill("wrong");
    await page.getByRole("button", { name: "Use this key" }).click();
    await page.getByRole("alert").getByText("refuses this API key").waitFor();
    await page.getByRole("alert").getByLabel("API key").fill("secret");
    await page.getByRole("button", { name: "Use this key" }).click();
    assert.ok(await answer(page));
    await page.locator("#model-name", { hasText: "fairy-tales" }).waitFor();
    await page.reload();
    assert.ok(await ask(page, "Again"));
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes("secret")), false);
});

test("errors are shown in the server's words", async () => {
    const server = await Server.start();
    const page = await open(server, { settings: { max_tokens: "5" } });
    await send(page, "word ".repeat(2000));
    assert.match(await failure(page), /512/);
    await page.route(
        "**/v1/chat/completions",
        (route) => route.fulfill({ status: 429, headers: { "Retry-After": "3" }, json: {} }),
        { times: 1 },
    );
    await page.getByRole("button", { name: "New conversation" }).click();
    await send(page, "Hello");
    assert.match(await failure(page), /busy.* 3 s/);
    await page.getByRole("button", { name: "Try again" }).click();
    assert.ok(await answer(page));
    assert.equal(await page.locator(".branches").count(), 0);

    await page.keyboard.press("Alt+s");
    await page.getByLabel("Format").selectOption("json_schema");
    await page.getByLabel("JSON schema", { exact: true }).fill("{");
    await send(page, "Hello");
    assert.match(await page.getByRole("alert").last().innerText(), /“JSON schema” in the settings/);
});
