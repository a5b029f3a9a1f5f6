"""The names other programs rely on: files, variables, labels, exit codes.

Changing a value here breaks somebody's Dockerfile, manifest or script.
"""

# What `ravi` and `ravi-whoami` exit with where there is nothing to print.
EXIT_ABSENT = 1
# Exit codes of our own failures, from sysexits(3). Everything else is the agent's own.
EXIT_USAGE = 64
EXIT_UNREACHABLE = 69
EXIT_BUG = 70
EXIT_WORKSPACE = 73
EXIT_THROTTLED = 75
EXIT_ANSWER = 76
EXIT_REFUSED = 77
EXIT_SETTINGS = 78
# What timeout(1) says of a program that was still running: RAVI_TIMEOUT was over.
EXIT_TIMED_OUT = 124
# What a shell says of a program it could not start (POSIX, Shell Command Language, 2.8.2).
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
# Added to the number of the signal that ended the agent.
EXIT_SIGNAL_BASE = 128

# Files of a provisioned workspace, in `<workspace>/.ravi/`.
RAVI_DIR = ".ravi"
# Filled, then renamed to `.ravi`; what a killed start left of it is removed by the next.
STAGING_DIR = ".ravi.new"
CONFIG_FILE = "config.json"
ENV_FILE = "env"
IDENTITY_FILE = "identity.json"
# Locked by the agent's PID 1 as long as it runs, in a volume that other containers may have.
HOLDER_FILE = "holder"
# Holds `*`, so that git ignores the directory whatever the repository's own rules say.
GITIGNORE_FILE = ".gitignore"
# There once `ravi` was told that the identity's key is not good any more.
KEY_REFUSED_FILE = "key-refused"
# Where a start is, for health checks: in /run/ravi in a container, else beside `.ravi`.
STATUS_PATH = "/run/ravi/status.json"
STATUS_FILE = ".ravi-status.json"
# What login shells of root read, in a directory where an agent cannot write: the public half of
# the agent's variables, as PID 1 knew them before the agent ran.
ROOT_ENV_PATH = "/run/ravi.env"

# Where Docker, Compose and our Kubernetes manifests mount the management key.
MANAGEMENT_KEY_PATH = "/run/secrets/ravi_management_key"

# Where the kubelet reads why a container ended, and how much of it (the Pod API's defaults for
# terminationMessagePath; other files are the Pod's own business).
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_LOG_LIMIT = 4096  # bytes

# What the account's keys begin with, so that one is told from an identity's.
MANAGEMENT_KEY_PREFIX = "ravi_mgmt_"

DEFAULT_API_URL = "https://ravi.id"
DEFAULT_WORKSPACE = "/workspace"

# What `--local` means: a container of this name, on the agents' network under its name and with
# these ports, which are published on the host's loopback address.
LOCAL_NAME = "ravi-local"
LOCAL_PORT = 8787
LOCAL_SMTP_PORT = 1025
LOCAL_URL = f"http://{LOCAL_NAME}:{LOCAL_PORT}"  # for the agents
LOCAL_MANAGEMENT_KEY = "ravi_mgmt_local"  # the same everywhere, so it is no secret

# What the agent finds in its environment.
AGENT_VARIABLES = (
    "RAVI_CONFIG_DIR",
    "RAVI_EMAIL",
    "RAVI_PHONE",
    "RAVI_IDENTITY_UUID",
    "RAVI_IDENTITY_NAME",
    "RAVI_API_URL",
)
# Where programs are looked for in an environment without PATH.
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
# Its identity's own key, where the service has such keys: what the official SDK reads. It is the
# one of the agent's variables that is secret, so it is never expanded into an argument.
API_KEY_VARIABLE = "RAVI_API_KEY"

# The launcher sets this to "stdin" and writes one JSON line to the container's standard input.
HANDOVER_VARIABLE = "RAVI_HANDOVER"
HANDOVER_LIMIT = 64 * 1024  # bytes
# The answer to a hand-over: one line on standard error before the agent's first instruction,
# this prefix and the public half of the identity as JSON.
READY_PREFIX = "ravi-entrypoint: ready: "
# What the container has used, told once everything in it has ended: the same, with numbers.
USED_PREFIX = "ravi-entrypoint: used: "

LABEL_RUN = "id.ravi.run"
LABEL_TASK = "id.ravi.task"
LABEL_INDEX = "id.ravi.index"
LABEL_COUNT = "id.ravi.count"
LABEL_IDENTITY_NAME = "id.ravi.identity-name"
# On a container that is made to look into an image: it is removed at once, and never started.
LABEL_PROBE = "id.ravi.probe"
LABELS = frozenset({LABEL_RUN, LABEL_TASK, LABEL_INDEX, LABEL_COUNT, LABEL_IDENTITY_NAME})
