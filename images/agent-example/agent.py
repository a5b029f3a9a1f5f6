"""An agent that uses its identity: it says who it is, and checks that with its own files."""

import json
import os
from pathlib import Path


def main() -> None:
    config = json.loads(Path(os.environ["RAVI_CONFIG_DIR"], "config.json").read_text())
    if config["identity_uuid"] != os.environ["RAVI_IDENTITY_UUID"]:
        raise SystemExit("my files and my environment name two identities")
    print(
        f"I am {os.environ['RAVI_IDENTITY_NAME']}: {os.environ['RAVI_EMAIL']},"
        f" {os.environ['RAVI_PHONE'] or 'no phone'}, {config['identity_uuid']}"
    )


if __name__ == "__main__":
    main()
