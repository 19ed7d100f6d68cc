// Starts `tercet serve` with the embedded model, and a browser.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { after } from "node:test";

const { TERCET, CHROMIUM, PACKAGES } = process.env;
const require = createRequire(`${PACKAGES}/`);
const { chromium } = require("playwright-core");

export const axeSource = require("axe-core").source;

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
after(() => browser.close());

// A server of its own process. Texts depend on request and seed only, on every machine.
export class Server {
    static async start(...options) {
        const program = spawn(TERCET, ["serve", "--port", "0", "--log", "off", ...options], {
            stdio: ["ignore", "ignore", "pipe"],
        });
        after(() => program.kill("SIGKILL"));
        for await (const line of createInterface({ input: program.stderr })) {
            const url = line.match(/http:\/\/\S+/)?.[0];
            if (url) return new Server(program, url);
        }
        throw new Error("the server has not started");
    }

    constructor(program, url) {
        Object.assign(this, { program, url });
    }

    freeze() {
        this.program.kill("SIGSTOP");
    }

    thaw() {
        this.program.kill("SIGCONT");
    }

    // Lets the server run in slices until `isDone`, and leaves it frozen: it cannot finish in the meantime.
    async crawl(isDone) {
        while (!(await isDone())) {
            this.thaw();
            await sleep(15);
            this.freeze();
            await sleep(60);
        }
    }

    async kill() {
        const end = once(this.program, "exit");
        this.program.kill("SIGKILL");
        await end;
    }
}

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

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
