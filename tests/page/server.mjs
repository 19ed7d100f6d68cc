// Starts `tercet serve` with the embedded model.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after } from "node:test";

// A server of its own process. Texts depend on request and seed only, on every machine.
export class Server {
    static async start(...options) {
        const program = spawn(process.env.TERCET, ["serve", "--port", "0", "--log", "off", ...options], {
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
