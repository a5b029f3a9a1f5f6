// The types of ravi-wait.mjs, where TypeScript looks for them.

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
  constructor(message: string, exitCode: number);
  get isTimeUp(): boolean;
}

/** The code of the oldest mail or SMS that has one and matches. Rejects with WaitError. */
export function waitForCode(options?: WaitOptions): Promise<string>;

/** The verification link of the oldest message that has one and matches. */
export function waitForLink(options?: WaitOptions): Promise<string>;

/** The oldest message that matches. */
export function waitForMessage(options?: WaitOptions): Promise<Message>;
