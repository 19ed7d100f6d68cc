// Writes the picture of the page that the documentation shows, to the file that is named.

import { Server, ask, open } from "./harness.mjs";

const server = await Server.start();
const settings = { max_tokens: "90", seed: "5", temperature: "0.6", logprobs: true };
const page = await open(server, { settings, viewport: { width: 1120, height: 640 } });
const questions = [
    "The fox and the bear",
    "A dragon who is afraid of the dark",
    "Why do the leaves fall?",
    "Tell me a story about the sea",
];
for (const question of questions) {
    await page.getByRole("button", { name: "New conversation" }).click();
    await ask(page, question);
}
// A token that the model doubted a little, in the first line.
await page.locator(".token").nth(7).hover();
await page.screenshot({ path: process.argv[2] });
await page.context().browser().close();
await server.kill();
