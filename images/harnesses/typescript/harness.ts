// One task, one Ravi identity, one workspace: node harness.ts TASK_ID WORKSPACE
// Runs `agent.js` of the workspace, and leaves with its code. Needs `ravi`, and Node 22.18 or
// later, which runs TypeScript as it is.

import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { constants, homedir, tmpdir } from "node:os";
import * as path from "node:path";

function fail(what: string, fix: string): never {
  console.error(`harness.ts: error: ${what}\n  fix: ${fix}`);
  process.exit(1);
}

interface RaviIdentity {
  uuid: string;
  inbox: string;
  phone: string | null;
}

/** Ends where another user can decide what runs: the agent can call with the account's key. */
function checkTrusted(workspace: string, program: string): void {
  if (!fs.existsSync(program)) {
    fail(`${program}: no program`, "put your agent there");
  }
  const parents: string[] = [];
  for (let folder = workspace; folder !== path.dirname(folder); ) {
    folder = path.dirname(folder);
    parents.push(folder);
  }
  for (const one of [program, workspace, ...parents]) {
    const { uid, mode } = fs.statSync(one);
    const isSticky = parents.includes(one) && mode & 0o1000; // as /tmp: nobody replaces another's
    const isOpen = mode & fs.constants.S_IWOTH && !isSticky;
    if (isOpen || (uid !== 0 && uid !== process.getuid?.())) {
      const fix = "node harness.ts TASK_ID DIRECTORY, one that only you can write";
      fail(`${one}: another user can decide what runs there`, fix);
    }
  }
}

function provisionWorkspace(taskId: string, configDir: string): RaviIdentity {
  // No shell: a task's name is one argument, whatever is in it.
  const raw = execFileSync("ravi", ["identity", "create", "--name", `task-${taskId}`], {
    encoding: "utf-8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const identity: RaviIdentity = JSON.parse(raw);
  fs.writeFileSync(
    path.join(configDir, "config.json"),
    JSON.stringify(scopeTo(identity.uuid)),
    { mode: 0o600 },
  );
  return identity;
}

/** The configuration that makes `ravi` act as this identity alone. */
function scopeTo(uuid: string): Record<string, string> {
  if (execFileSync("ravi", ["version"], { encoding: "utf-8" }).includes("ravi-agent-base")) {
    return { identity_uuid: uuid };
  }
  // The official CLI needs the identity's key, and rewrites the configuration it read to get one.
  const folder = fs.mkdtempSync(path.join(tmpdir(), "ravi-"));
  try {
    const config = path.join(folder, ".ravi", "config.json");
    fs.mkdirSync(path.dirname(config), { mode: 0o700 });
    const account = fs.readFileSync(path.join(homedir(), ".ravi", "config.json"));
    fs.writeFileSync(config, account, { mode: 0o600 });
    execFileSync("ravi", ["identity", "use", uuid], { cwd: folder, stdio: "ignore" });
    const { identity_uuid, identity_name, identity_key } = JSON.parse(
      fs.readFileSync(config, "utf-8"),
    );
    return { identity_uuid, identity_name, identity_key };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

function runAgent(taskId: string, workspace: string): number {
  checkTrusted(workspace, path.join(workspace, "agent.js"));
  const configDir = path.join(workspace, ".ravi");
  // Taken before anything is paid for: a second harness on the same workspace ends here.
  fs.mkdirSync(configDir, { mode: 0o700 });
  try {
    const identity = provisionWorkspace(taskId, configDir);
    const env = {
      ...process.env,
      RAVI_CONFIG_DIR: configDir,
      RAVI_EMAIL: identity.inbox,
      RAVI_PHONE: identity.phone ?? "",
    };
    const agent = spawnSync(process.execPath, ["agent.js"], {
      cwd: workspace,
      env,
      stdio: "inherit",
    });
    // As a shell says that a signal ended it.
    return agent.status ?? 128 + (agent.signal ? constants.signals[agent.signal] : 0);
  } finally {
    fs.rmSync(configDir, { recursive: true });
  }
}

const [taskId, workspace] = process.argv.slice(2);
if (!taskId || !workspace) {
  console.error("usage: node harness.ts TASK_ID WORKSPACE");
  process.exit(64);
}
process.exitCode = runAgent(taskId, fs.realpathSync(workspace));
