"""What is said of an exception that nobody expected, where `traceback` may be gone."""

from ravi_agent.log import write_stderr


def say_bug(program: str, exc: BaseException) -> None:
    """Print where it happened and its kind; its text could quote a secret, so it stays out."""
    frames = ""
    traceback = exc.__traceback__
    while traceback:
        code = traceback.tb_frame.f_code
        frames += f"  {code.co_filename}, line {traceback.tb_lineno}, in {code.co_name}\n"
        traceback = traceback.tb_next
    write_stderr(
        f"{frames}{program}: error: {type(exc).__name__}: unexpected\n"
        "  fix: this is a bug; report it with the lines above, which hold no secret\n"
    )
