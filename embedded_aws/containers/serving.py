"""What the SageMaker inference toolkit does inside the container: ``/ping`` and ``/invocations`` around four handlers.

``python -m embedded_aws.containers.serving --model-dir DIR --port N``. As in the Hugging Face toolkit, every exception of a
handler becomes HTTP 400 with its message, so an alarm on 5xx alone would never see a broken model.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

_MAX_BODY = 6 * 1024 * 1024


def load_handlers(model_dir: Path) -> ModuleType:
    """Import ``code/inference.py`` of the artifact."""
    code = model_dir / "code"
    sys.path.insert(0, str(code))
    spec = importlib.util.spec_from_file_location("inference", code / "inference.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{code / 'inference.py'} does not exist: the artifact brings no handlers")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_server(model_dir: Path, port: int) -> ThreadingHTTPServer:
    """Load the model, then listen on 127.0.0.1: a process that answers /ping is ready."""
    handlers = load_handlers(model_dir)
    model = handlers.model_fn(str(model_dir))
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(200 if self.path == "/ping" else 404, "", "text/plain")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != "/invocations" or length > _MAX_BODY:
                self.close_connection = True
                self._answer(404 if self.path != "/invocations" else 413, "", "text/plain")
                return
            body = self.rfile.read(length)
            accept = self.headers.get("Accept") or "application/json"
            accept = "application/json" if accept == "*/*" else accept
            try:
                data = handlers.input_fn(body, self.headers.get("Content-Type") or "application/json")
                with one_at_a_time:
                    prediction = handlers.predict_fn(data, model)
                self._answer(200, handlers.output_fn(prediction, accept), accept)
            except Exception as error:
                self._answer(400, json.dumps({"code": 400, "type": type(error).__name__, "message": str(error)}), "application/json")

        def _answer(self, status: int, text: str, content_type: str) -> None:
            payload = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are counted by the endpoint's metrics, not logged one by one."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve one model")
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    make_server(arguments.model_dir.resolve(), arguments.port).serve_forever()
