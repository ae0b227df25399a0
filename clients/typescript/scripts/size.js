// Fails when the built client, all entry points together, is larger than 15 kB with gzip. Comments do not count, as every bundler
// drops them; names and white space do, so that a bundle is smaller than this.
import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";

const MAX = 15_000;
const files = readdirSync("dist").filter((name) => name.endsWith(".js"));
const code = files.map((name) => readFileSync(`dist/${name}`, "utf8").replace(/\/\*[^]*?\*\//g, "")).join("");
const size = gzipSync(code).length;
console.log(`${files.length} files, ${code.length} bytes, ${size} with gzip, at most ${MAX}`);
if (size > MAX) process.exit(1);
