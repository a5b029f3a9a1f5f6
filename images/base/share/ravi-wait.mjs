// Wait for a verification code or link: what `ravi inbox wait` does, as promises.
//
//     import { waitForCode } from "/opt/ravi/share/ravi-wait.mjs"; // or a copy of this file
//     const code = await waitForCode({ from: "shop.example", timeout: "2m" });
//
// For Node.js 18 and later, Bun and Deno; no packages. ravi-wait.d.mts beside it has the types for
// TypeScript. The `ravi` of the image does the work: only what is unread and came since the agent
// started counts, and what is returned is marked as read.

import { execFile } from "node:child_process";

/** `exitCode` is 75 when the time was up; the others are those of `ravi help`. */
export class WaitError extends Error {
  constructor(message, exitCode) {
    super(message);
    this.name = "WaitError";
    this.exitCode = exitCode;
  }

  get isTimeUp() {
    return this.exitCode === 75;
  }
}

/** The code of the oldest mail or SMS that has one and matches. Rejects with WaitError. */
export async function waitForCode(options = {}) {
  return (await run(["--code"], options)).trim();
}

/** The verification link of the oldest message that has one and matches. */
export async function waitForLink(options = {}) {
  return (await run(["--link"], options)).trim();
}

/** The oldest message that matches. */
export async function waitForMessage(options = {}) {
  return JSON.parse(await run([], options));
}

function run(flags, options) {
  const { kind, ravi = "ravi", ...given } = options;
  const argv = ["inbox", "wait", ...flags, ...(kind ? [`--${kind}`] : [])];
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) argv.push(`--${name}=${value}`);
  }
  return new Promise((resolve, reject) => {
    const limits = { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 };
    execFile(ravi, argv, limits, (error, stdout, stderr) => {
      if (error) {
        const code = typeof error.code === "number" ? error.code : 127;
        reject(new WaitError(stderr.trim() || error.message, code));
      } else {
        resolve(stdout);
      }
    });
  });
}
