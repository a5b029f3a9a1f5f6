"""`ravi-launch images`: the project's images, for whoever cannot pull them."""

from dataclasses import dataclass

from ravi_agent.errors import UsageError
from ravi_agent.launcher import backend
from ravi_agent.launcher.commands.engine_options import context_flag, host_flag
from ravi_agent.launcher.commands.flags import Call, Command, argument, flag
from ravi_agent.launcher.model.request import Connection
from ravi_agent.launcher.planning.image_files import choose_images
from ravi_agent.launcher.show.listing import table


@dataclass(frozen=True, kw_only=True)
class ImagesOptions:
    """What is done with which images, on which engine."""

    action: str = argument(
        "build|ls", choices=("build", "ls"), help="Build the images, or list them."
    )
    names: tuple[str, ...] = argument(
        "IMAGE", default=(), help="Only these: ravi-agent-base, ravi-local, ...; default all."
    )
    base_image: str | None = flag(
        "--base-image",
        metavar="IMAGE",
        default_text="that of the Dockerfile",
        help="Image with glibc and Python 3.11 or later for ravi-agent-base to stand on.",
    )
    host: str | None = host_flag()
    context: str | None = context_flag("Docker context.")


def images(options: ImagesOptions, _: Call) -> int:
    """Print the name of each image once it is built, or a table of them; always 0."""
    connection = Connection(host=options.host, context=options.context)
    chosen = choose_images(options.names)
    if options.action == "build":
        for name in backend.build_images(chosen, options.base_image, connection):
            print(name, flush=True)
        return 0
    if options.base_image:
        raise UsageError("--base-image", "`images ls` builds nothing", "ravi-launch images build")
    rows = [
        (image.name, identifier or "-", size or "-", image.use)
        for image, identifier, size in backend.built_images(chosen, connection)
    ]
    print(table(("image", "id", "size", "use"), rows), end="")
    return 0


COMMAND = Command(
    name="images",
    summary="Build the project's images from the files of this package, or list them",
    options=ImagesOptions,
    execute=images,
)
