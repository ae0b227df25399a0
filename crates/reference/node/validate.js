// Validates an AsyncAPI document, with everything that it refers to: `node validate.js FILE`. A warning fails too.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const [file] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"), { source: file });
const [ERROR, WARNING] = [0, 1];
const faults = diagnostics.filter(({ severity }) => severity === ERROR || severity === WARNING);
for (const { path, code, message } of faults) console.error(`${file}: ${path.join(".")}: ${message} (${code})`);
if (!document || faults.length > 0) process.exit(1);
const { length: messages } = document.messages().all();
console.log(`${file}: ${document.operations().all().length} operations, ${messages} messages`);
