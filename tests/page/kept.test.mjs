import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Server, answer, ask, importAnswer, importConversations, open } from "./harness.mjs";

const server = await Server.start();
const settings = { max_tokens: "8" };
const titles = (page) => page.locator("#conversations .open").allInnerTexts();

// Loads the page again, and waits for the conversations that the browser kept.
async function reload(page) {
    await page.reload();
    await page.locator("#conversations .open").first().waitFor();
}

async function choose(page, title, action) {
    await page.getByRole("button", { name: title, exact: true }).hover();
    await page.getByLabel(`More about ${title}`).click();
    await page.getByRole("button", { name: action, exact: true }).click();
}

test("conversations survive a reload", async () => {
    const page = await open(server, { settings });
    const first = await ask(page, "The first");
    await page.keyboard.press("Alt+n");
    const second = await ask(page, "The second");
    await page.reload();
    assert.equal(await answer(page), second);
    assert.deepEqual(await titles(page), ["The second", "The first"]);
    await page.getByRole("button", { name: "The first", exact: true }).click();
    assert.equal(await answer(page), first);
    assert.deepEqual(page.problems, []);
});

test("a conversation is renamed, and deleted, and comes back", async () => {
    const page = await open(server, { settings });
    await ask(page, "A story");
    await choose(page, "A story", "Rename");
    await page.getByLabel("Title").fill("Dragons");
    await page.keyboard.press("Enter");
    assert.deepEqual(await titles(page), ["Dragons"]);
    await choose(page, "Dragons", "Delete");
    assert.deepEqual(await titles(page), []);
    await page.getByRole("button", { name: "Undo" }).click();
    assert.deepEqual(await titles(page), ["Dragons"]);
    await reload(page);
    assert.deepEqual(await titles(page), ["Dragons"]);
});

test("an export can be imported into another browser", async () => {
    const page = await open(server, { settings: { ...settings, logprobs: true } });
    const text = await ask(page, "A story");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export all" }).click();
    const { conversations } = JSON.parse(await readFile(await (await download).path(), "utf8"));
    const other = await open(server);
    await importConversations(other, conversations);
    await other.getByLabel("Show probabilities").click();
    assert.equal((await answer(other)).trim(), text.trim());
    await reload(other);
    assert.deepEqual(await titles(other), ["A story"]);
});

test("a file that is no export changes nothing, and says why", async () => {
    const page = await open(server);
    const refused = async (conversations, reason, format) => {
        await importConversations(page, conversations, format);
        assert.match(await page.locator("#toast").innerText(), reason);
        await page.locator("#toast > div").evaluate((toast) => toast.remove());
    };
    const message = { id: "1", parent: null, role: "user", text: "x" };
    await refused([], /format/, "another");
    await refused([{ id: "a" }], /messages/);
    await refused([{ id: "a", messages: [{ ...message, role: "root" }], leaf: "1" }], /root/);
    await refused([{ id: "a", messages: [{ ...message, parent: "1" }], leaf: "1" }], /parent/);
    await refused([{ id: "a", messages: [message], leaf: "2" }], /leaf/);
    assert.deepEqual(await titles(page), []);
    await importAnswer(page, {
        text: "odd",
        stats: { first: "soon", tokens: {} },
        tokens: [1],
        calls: 5,
        error: 3,
    });
    assert.equal(await answer(page), "odd");
    assert.deepEqual(page.problems, []);
});
