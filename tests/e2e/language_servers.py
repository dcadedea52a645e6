#!/usr/bin/env python3
"""Talks to both language servers as an editor does: `orielc lsp` for model files, `oriel-lsp-server` for .mlir."""
import json
import os
import subprocess

BIN = os.environ["ORIEL_BIN"]
WRONG = "model wrong {\n  d = 64  # \u00e9\n  embed(vocab = 256, dim = d) | residual { ratention(4, window = 8) }\n}\n"
RIGHT = "model right { embed(vocab = 256, dim = 32) | unembed(tied) | cross_entropy }\n"


class Server:
    """One server process: requests, notifications and what it publishes."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.requests = 0

    def send(self, method, params, **head):
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **head}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        length = 0
        while (line := self.process.stdout.readline().strip()):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(self.process.stdout.read(length))

    def ask(self, method, params):
        self.requests += 1
        self.send(method, params, id=self.requests)
        reply = self.receive()
        assert reply["id"] == self.requests, reply
        return reply

    def open(self, uri, language, text):
        """Opens a document and returns the diagnostics that the server publishes for it."""
        self.send("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": language, "version": 1, "text": text}})
        return self.receive()["params"]["diagnostics"]

    def stop(self):
        self.ask("shutdown", None)
        self.send("exit", None)
        return self.process.wait(timeout=30)


def check_model_server():
    server, uri = Server([f"{BIN}/orielc", "lsp"]), "file:///models/wrong.oriel"
    capabilities = server.ask("initialize", {"capabilities": {}})["result"]["capabilities"]
    assert capabilities["documentFormattingProvider"] is True
    found = server.open(uri, "oriel", WRONG)
    unknown = next(d for d in found if "did you mean 'rattention'" in d["message"])
    assert unknown["severity"] == 1
    line = WRONG.split("\n")[2]
    at = line.index("ratention")
    assert unknown["range"] == {"start": {"line": 2, "character": at}, "end": {"line": 2, "character": at + 9}}, unknown
    server.send("textDocument/didChange", {"textDocument": {"uri": uri, "version": 2}, "contentChanges": [{"text": RIGHT}]})
    assert server.receive()["params"] == {"uri": uri, "version": 2, "diagnostics": []}
    edits = server.ask("textDocument/formatting", {"textDocument": {"uri": uri}, "options": {}})["result"]
    assert len(edits) <= 1 and all("unembed(tied)" in edit["newText"] for edit in edits)
    closed = server.ask("textDocument/formatting", {"textDocument": {"uri": "file:///never/opened.oriel"}, "options": {}})
    assert "not open" in closed["error"]["message"]
    assert server.stop() == 0


def check_dialect_server():
    server = Server([f"{BIN}/oriel-lsp-server"])
    server.ask("initialize", {"capabilities": {}})
    text = "func.func @f(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {\n  %y = lm.add %x : tensor<2x4xf32>\n  return %y : tensor<2x4xf32>\n}\n"
    found = server.open("file:///models/f.mlir", "mlir", text)
    assert found and found[0]["range"]["start"]["line"] == 1, found
    server.stop()


check_model_server()
check_dialect_server()
print("both language servers answer")
