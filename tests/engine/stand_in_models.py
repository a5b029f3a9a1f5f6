"""Stand-ins for the APIs of two models, which drive a coding agent through a scenario.

They refuse what the real ones refuse: a missing or wrong key, a missing version, fields that are
missing or of another type, and answers to calls that were never made. What the model says is fixed;
what the agent makes of it is the agent's own.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

from listeners import Served

KEY = "sk-PLANTED-0123456789"
# From what the commands so far have printed to the next one; None once all is done.
Scenario = Callable[[list[str]], str | None]
LAST_WORDS = "I have signed up."
Json = dict[str, Any]


class RefusedError(Exception):
    """A request that the real API would not take."""

    def __init__(self, status: int, kind: str, why: str) -> None:
        super().__init__(why)
        self.status, self.kind = status, kind


def demand(is_so: object, why: str) -> None:
    if not is_so:
        raise RefusedError(400, "invalid_request_error", why)


class ModelServer(Served):
    """One API on an address of the host. `outputs`: what the agent's commands have printed.

    `strays`: requests for anything else, and hosts that somebody asked this for as its proxy.
    `prompts`: the requests as the model got them.
    """

    path: str

    def __init__(self, host: str, scenario: Scenario) -> None:
        self.scenario = scenario
        self.outputs: list[str] = []
        self.prompts: list[Json] = []
        self.refused: list[str] = []
        self.strays: list[str] = []
        self.lock = Lock()
        super().__init__(ThreadingHTTPServer((host, 0), handler_of(self)))
        self.url = f"http://{host}:{self.server_port}"

    def events(self, headers: Json, body: Json) -> Iterator[Json]:
        """The events of an answer. Raises RefusedError before the first."""
        raise NotImplementedError

    def error(self, exc: RefusedError) -> Json:
        """The body of a refusal."""
        raise NotImplementedError

    def next_command(self, outputs: list[str]) -> str | None:
        with self.lock:
            self.outputs = max(self.outputs, outputs, key=len)
        return self.scenario(outputs)


class AnthropicApi(ModelServer):
    """`POST /v1/messages`, streamed: https://platform.claude.com/docs/en/api/messages"""

    path = "/v1/messages"

    def events(self, headers: Json, body: Json) -> Iterator[Json]:
        if headers.get("x-api-key") != KEY:
            raise RefusedError(401, "authentication_error", "invalid x-api-key")
        demand(headers.get("anthropic-version") == "2023-06-01", "anthropic-version: required")
        demand(isinstance(body.get("model"), str), "model: Field required")
        demand(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
        demand(body.get("messages"), "messages: at least one message is required")
        demand(body["messages"][0]["role"] == "user", "messages: first message must use user")
        demand(body.get("stream") is True, "this stand-in streams")
        outputs = self._outputs(body["messages"])
        tools = {tool["name"]: tool.get("input_schema") for tool in body.get("tools", [])}
        for name, schema in tools.items():
            demand(re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", name), "tools.name: wrong pattern")
            demand(isinstance(schema, dict) or "type" in name, "tools.input_schema: required")
        command = self.next_command(outputs) if "Bash" in tools else None
        return self._stream(body["model"], command)

    def _outputs(self, messages: list[Json]) -> list[str]:
        outputs: list[str] = []
        open_calls: set[str] = set()
        for message in messages:
            content = message["content"]
            blocks = content if isinstance(content, list) else []
            answered = {b["tool_use_id"] for b in blocks if b["type"] == "tool_result"}
            demand(answered <= open_calls, "tool_result: no such tool_use in the message before")
            demand(answered == open_calls or message["role"] == "system", "tool_use: no result")
            outputs += [text_of(b["content"]) for b in blocks if b["type"] == "tool_result"]
            open_calls = {b["id"] for b in blocks if b["type"] == "tool_use"}
        return outputs

    def _stream(self, model: str, command: str | None) -> Iterator[Json]:
        message: Json = {"id": name("msg"), "type": "message", "role": "assistant"}
        usage = {"input_tokens": 1, "output_tokens": 1}
        message |= {
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        yield {"type": "message_start", "message": message}
        block: Json = {"type": "text", "text": ""}
        delta: Json = {"type": "text_delta", "text": LAST_WORDS}
        if command is not None:
            arguments = json.dumps({"command": command, "description": "A step of signing up"})
            block = {"type": "tool_use", "id": name("toolu"), "name": "Bash", "input": {}}
            delta = {"type": "input_json_delta", "partial_json": arguments}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        reason = "end_turn" if command is None else "tool_use"
        end = {"stop_reason": reason, "stop_sequence": None}
        yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}}
        yield {"type": "message_stop"}

    def error(self, exc: RefusedError) -> Json:
        return {"type": "error", "error": {"type": exc.kind, "message": str(exc)}}


class OpenAiApi(ModelServer):
    """`POST /v1/responses`, streamed: https://platform.openai.com/docs/api-reference/responses"""

    path = "/v1/responses"

    def events(self, headers: Json, body: Json) -> Iterator[Json]:
        if headers.get("authorization") != f"Bearer {KEY}":
            raise RefusedError(401, "invalid_api_key", "Incorrect API key provided.")
        demand(isinstance(body.get("model"), str), "Missing required parameter: 'model'.")
        demand(isinstance(body.get("input"), list), "Missing required parameter: 'input'.")
        demand(body.get("stream") is True, "this stand-in streams")
        tools = {tool["name"]: tool["type"] for tool in every_tool(body)}
        command = self.next_command(self._outputs(body["input"]))
        return self._stream(tools, command)

    def _outputs(self, items: list[Json]) -> list[str]:
        calls = {i["call_id"] for i in items if i["type"].endswith("_call") and "call_id" in i}
        answers = [i for i in items if i["type"].endswith("_call_output")]
        strange = {i["call_id"] for i in answers} - calls
        demand(not strange, "No tool call found for function call output with call_id.")
        demand(calls == {i["call_id"] for i in answers}, "No tool output found for function call.")
        return [text_of(answer["output"]) for answer in answers]

    def _stream(self, tools: dict[str, str], command: str | None) -> Iterator[Json]:
        yield {"type": "response.created", "response": {"id": name("resp")}}
        yield {"type": "response.output_item.done", "item": self._item(tools, command)}
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        details: Json = {"input_tokens_details": None, "output_tokens_details": None}
        yield {
            "type": "response.completed",
            "response": {"id": name("resp"), "usage": usage | details},
        }

    def _item(self, tools: dict[str, str], command: str | None) -> Json:
        if command is None:
            words = [{"type": "output_text", "text": LAST_WORDS}]
            return {"type": "message", "role": "assistant", "id": name("msg"), "content": words}
        arguments = json.dumps({"cmd": command, "yield_time_ms": 30_000})
        call = {"id": name("call"), "call_id": name("call")}
        if tools.get("exec_command") == "function":
            return {"type": "function_call", "name": "exec_command", "arguments": arguments} | call
        # Newer models call tools from a program that they write.
        demand(tools.get("exec") == "custom", "there is no tool that runs commands")
        program = f"text((await tools.exec_command({arguments})).output)"
        return {"type": "custom_tool_call", "name": "exec", "input": program} | call

    def error(self, exc: RefusedError) -> Json:
        return {"error": {"type": exc.kind, "code": exc.kind, "message": str(exc)}}


def every_tool(body: Json) -> Iterator[Json]:
    """The tools of a request: in its own list, and in what newer models get as input."""
    waiting = list(body.get("tools", []))
    for item in body["input"]:
        if item["type"] == "additional_tools":
            waiting += item["tools"]
    while waiting:
        tool = waiting.pop()
        if tool["type"] == "namespace":
            waiting += tool["tools"]
        elif "name" in tool:
            yield tool


def text_of(content: str | list[Json]) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def name(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


def handler_of(model: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_POST(self) -> None:
            if self.path.partition("?")[0] != model.path:
                self.stray()
                return
            headers = {key.lower(): value for key, value in self.headers.items()}
            try:
                body = json.loads(self.rfile.read(int(headers.get("content-length", 0))))
                events = list(model.events(headers, body))
            except RefusedError as exc:
                model.refused.append(str(exc))
                self.answer(exc.status, json.dumps(model.error(exc)), "application/json")
                return
            model.prompts.append(body)
            text = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
            self.answer(200, text, "text/event-stream")

        def stray(self) -> None:
            model.strays.append(f"{self.command} {self.path}")
            self.close_connection = True
            self.answer(404, "{}", "application/json")

        do_GET = do_HEAD = do_CONNECT = stray  # noqa: N815

        def answer(self, status: int, text: str, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text.encode())))
            if status >= 400:
                self.send_header("x-should-retry", "false")  # Anthropic's, for their own clients
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: object) -> None:
            """The test looks at what was asked, not at a log."""

    return Handler
