"""An ssh server for one test: forwards to Unix sockets, runs what it is told, then prints its port.

usage: ssh_gate.py HOST_KEY AUTHORIZED_KEYS
"""

import asyncio
import subprocess
import sys

import asyncssh


class Gate(asyncssh.SSHServer):
    def unix_connection_requested(self, dest_path: str) -> bool:
        del dest_path
        return True


async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
    shell = await asyncio.create_subprocess_shell(
        process.command or "", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    await process.redirect(stdin=shell.stdin, stdout=shell.stdout)
    process.exit(await shell.wait())


async def main(host_key: str, authorized_keys: str) -> None:
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Gate,
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        process_factory=run,
        encoding=None,
    )
    print(server.get_port(), flush=True)  # noqa: T201 - the answer
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
