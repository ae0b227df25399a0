// One-time codes of RFC 6238 (HMAC-SHA-1, six digits, steps of 30 s), computed in the page by WebCrypto.

export const STEP = 30_000;

/** Code of a base32 secret at a time in milliseconds. */
export async function code(secret, time) {
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(Math.floor(time / STEP)));
  const key = await crypto.subtle.importKey("raw", base32(secret), { name: "HMAC", hash: "SHA-1" }, false, ["sign"]);
  const digest = new DataView(await crypto.subtle.sign("HMAC", key, counter.buffer));
  const offset = digest.getUint8(19) & 0x0f;
  const number = (digest.getUint32(offset) & 0x7fffffff) % 1_000_000;
  return String(number).padStart(6, "0");
}

/** Bytes of a base32 text (RFC 4648), as people type it: spaces, dashes and case do not count. Throws where it is none. */
export function base32(text) {
  const digits = text.toUpperCase().replace(/[\s=-]/g, "");
  const bytes = [];
  let [bits, value] = [0, 0];
  for (const digit of digits) {
    const index = ALPHABET.indexOf(digit);
    if (index < 0) throw new Error("A key has the letters A to Z and the digits 2 to 7.");
    value = ((value << 5) | index) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 0xff);
    }
  }
  if (bytes.length < 10) throw new Error("A key has at least 16 characters.");
  return new Uint8Array(bytes);
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
