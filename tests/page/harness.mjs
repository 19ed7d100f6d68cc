// Starts a browser, and opens the page in it.

import { createRequire } from "node:module";
import { after } from "node:test";

export { Server, sleep } from "./server.mjs";

const { CHROMIUM, PACKAGES } = process.env;
const require = createRequire(`${PACKAGES}/`);
const { chromium } = require("playwright-core");

export const axeSource = require("axe-core").source;

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
after(() => browser.close());

// Opens the page in a fresh browser profile, with settings as a user has left them.
export async function open(server, { settings = {}, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1100, height: 760 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.problems = [];
    page.on("pageerror", (error) => page.problems.push(error.message));
    page.on(
        "console",
        (message) => message.text().includes("Content Security Policy") && page.problems.push(message.text()),
    );
    page.on(
        "request",
        (request) =>
            request.url().startsWith(server.url) || page.problems.push(`request to ${request.url()}`),
    );
    if (Object.keys(settings).length) {
        const kept = JSON.stringify(settings);
        await page.addInitScript(
            (kept) =>
                localStorage.getItem("tercet.settings") ?? localStorage.setItem("tercet.settings", kept),
            kept,
        );
    }
    await page.goto(server.url);
    await page.locator("#model-name", { hasNotText: "…" }).waitFor();
    return page;
}

export async function send(page, text) {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.keyboard.press("Enter");
}

// Waits until no answer is under way, and returns the last message's text.
export async function answer(page) {
    await page.locator("#send[title=Send]").waitFor();
    return page.locator(".message:last-child .body").innerText();
}

export async function ask(page, text) {
    await send(page, text);
    return answer(page);
}

// Imports a conversation of a question and an answer.
export async function importAnswer(page, fields, question = "A question") {
    const messages = [
        { id: "1", parent: null, role: "user", text: question },
        { id: "2", parent: "1", role: "assistant", seed: 7, finish: "stop", ...fields },
    ];
    await importConversations(page, [{ id: "imported", title: "", updated: 0, leaf: "2", messages }]);
}

export async function importConversations(page, conversations, format = "tercet-conversations") {
    const buffer = Buffer.from(JSON.stringify({ format, version: 1, conversations }));
    await page.setInputFiles("#file", { name: "conversations.json", mimeType: "application/json", buffer });
    await page.locator("#toast", { hasText: "imported" }).waitFor();
}
