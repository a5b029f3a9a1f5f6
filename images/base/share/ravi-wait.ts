// Wait for a verification code or link: what `ravi inbox wait` does, as promises.
//
//     import { waitForCode } from "/opt/ravi/share/ravi-wait.ts"; // or a copy of this file
//     const code = await waitForCode({ from: "shop.example", timeout: "2m" });
//
// For Node.js that strips types (23.6 and later); no packages. The `ravi` of the image does the
// work: only what is unread and came since the agent started counts, and what is returned is
// marked as read.

import { execFile } from "node:child_process";

export interface WaitOptions {
  /** Only mail, or only SMS; both unless given. */
  kind?: "email" | "sms";
  /** A part of the sender, of the subject, of the text; or `/regex/`, `/regex/i`. */
  from?: string;
  subject?: string;
  body?: string;
  /** Such as `90`, `60s`, `5m`, `1h`; 60 seconds unless given. */
  timeout?: string;
  /** Such as `10m` (ago), `2026-01-31T09:00:00Z` or `all`; the start of the agent unless given. */
  since?: string;
  /** The command to run; `ravi` unless given. */
  ravi?: string;
}

/** A mail or an SMS as the service sends it, with what was found in it. */
export interface Message {
  kind: "email" | "sms";
  code: string | null;
  link: string | null;
  [field: string]: unknown;
}

/** `exitCode` is 75 when the time was up; the others are those of `ravi help`. */
export class WaitError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.name = "WaitError";
    this.exitCode = exitCode;
  }

  get isTimeUp(): boolean {
    return this.exitCode === 75;
  }
}

/** The code of the oldest mail or SMS that has one and matches. Rejects with WaitError. */
export async function waitForCode(options: WaitOptions = {}): Promise<string> {
  return (await run(["--code"], options)).trim();
}

/** The verification link of the oldest message that has one and matches. */
export async function waitForLink(options: WaitOptions = {}): Promise<string> {
  return (await run(["--link"], options)).trim();
}

/** The oldest message that matches. */
export async function waitForMessage(options: WaitOptions = {}): Promise<Message> {
  return JSON.parse(await run([], options));
}

function run(flags: string[], options: WaitOptions): Promise<string> {
  const { kind, ravi = "ravi", ...given } = options;
  const argv = ["inbox", "wait", ...flags, ...(kind ? [`--${kind}`] : [])];
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) argv.push(`--${name}=${value}`);
  }
  return new Promise((resolve, reject) => {
    const limits = { encoding: "utf8" as const, maxBuffer: 64 * 1024 * 1024 };
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
