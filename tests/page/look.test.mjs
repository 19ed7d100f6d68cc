import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, ask, axeSource, importAnswer, open } from "./harness.mjs";

const server = await Server.start();
const settings = { max_tokens: "20", seed: "7", logprobs: true };
const markdown =
    "# Title\n\n## Part\n\nA [link](https://example.org).\n\n> quote\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```js\n1\n```\n\n1. one";

async function assertAccessible(page, state) {
    await page.evaluate(axeSource);
    const { violations } = await page.evaluate(() => axe.run());
    const findings = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    assert.deepEqual(findings, [], state);
}

for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing in ${colorScheme}`, async () => {
        const page = await open(server, { settings, colorScheme, reducedMotion: "reduce" });
        await assertAccessible(page, "welcome");
        await ask(page, "Tell me a story");
        await page.locator(".token").nth(2).hover();
        await assertAccessible(page, "probabilities");
        await importAnswer(page, { text: markdown, error: { text: "It failed.", status: 500 } });
        await page.keyboard.press("Alt+s");
        await page.getByLabel("Format").selectOption("json_schema");
        await assertAccessible(page, "Markdown and settings");
        await page.keyboard.press("Escape");
        await page.locator("#model").click();
        await assertAccessible(page, "facts");
        await page.keyboard.press("Escape");
        await page.keyboard.press("Alt+k");
        await assertAccessible(page, "shortcuts");
    });
}

test("a narrow screen shows everything", async () => {
    const page = await open(server, { settings, viewport: { width: 360, height: 640 }, hasTouch: true });
    await ask(page, "Tell me a story about a veryveryveryveryveryveryveryverylongword");
    await importAnswer(page, { text: markdown + "\n\n```\n" + "wide ".repeat(60) + "\n```" });
    const width = () =>
        page.evaluate(() =>
            Math.max(document.documentElement.scrollWidth, document.getElementById("scroll").scrollWidth),
        );
    assert.ok((await width()) <= 360);
    await assertAccessible(page, "narrow");
    await page.getByRole("button", { name: "Conversations", exact: true }).click();
    await page
        .getByRole("button", { name: /Tell me a story/ })
        .first()
        .click();
    assert.equal(await page.locator("#sidebar").isVisible(), false);
    assert.equal(await page.locator(".token").count(), 20);
    await page.getByLabel("Settings", { exact: true }).first().click();
    await page.getByLabel("Close the settings").click();
    assert.equal(await page.locator("#settings").isVisible(), false);
});

test("the switch of the theme is kept", async () => {
    const page = await open(server, { colorScheme: "light" });
    const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await paper();
    await page.getByLabel("Dark or light").click();
    const dark = await paper();
    assert.notEqual(dark, light);
    await page.reload();
    assert.equal(await paper(), dark);
});

test("the policy of the page forbids scripts and outside requests", async () => {
    const page = await open(server);
    const isBlocked = (code) =>
        page.evaluate(code).then(
            () => false,
            () => true,
        );
    assert.ok(await isBlocked(() => fetch("http://127.0.0.1:9/")));
    assert.ok(
        await isBlocked(() => {
            document.body.innerHTML = "<b>text</b>";
        }),
    );
    const answer = await fetch(server.url);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    assert.equal(answer.headers.get("referrer-policy"), "no-referrer");
    const again = await fetch(server.url, { headers: { "If-None-Match": answer.headers.get("etag") } });
    assert.equal(again.status, 304);
});
