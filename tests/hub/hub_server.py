"""A hub on this machine, as far as its client asks: repositories with several commits, private and gated ones.

`huggingface_hub` finds it by `HF_ENDPOINT`. What it answers was taken from the client's code, `file_download.py`, and from what
huggingface.co answers: the commit and the ETag of a file in headers, and what is wrong in `X-Error-Code`.
"""

import hashlib
import http.server
import json
import threading
import urllib.parse

BRANCH = "main"


class HubServer:
    """Serves repositories at `endpoint` until it is closed.

    Attributes:
        repositories: {"owner/name": a list of commits, each {file: bytes}}; the last is what `main` means.
        gated: names of repositories whose files are refused.
        requests: what was asked so far, as (method, path).
    """

    def __init__(self):
        self.repositories, self.gated, self.requests = {}, set(), []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self}))
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, name, files):
        """Adds a commit to a repository and returns its hash."""
        self.repositories.setdefault(name, []).append(files)
        return self.commit(name)

    def commit(self, name, index=-1):
        """The hash of a commit: 40 digits that tell the repository and the number."""
        commits = self.repositories[name]
        return hashlib.sha1(f"{name} {range(len(commits))[index]}".encode()).hexdigest()

    def find(self, name, revision):
        """The hash and the files of a revision; None if there is none."""
        for index, files in enumerate(self.repositories[name]):
            commit = self.commit(name, index)
            if revision == commit or (revision == BRANCH and index == len(self.repositories[name]) - 1):
                return commit, files
        return None

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers `/owner/name/resolve/revision/file`, and lists the files of a revision."""

    hub: HubServer

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        words = path.strip("/").removeprefix("api/models/").split("/")
        name, listed = "/".join(words[:2]), path.startswith("/api/")
        if name not in self.hub.repositories:
            return self.send(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if name in self.hub.gated:
            return self.send(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {name} is restricted"})
        revision = words[3] if len(words) > 3 else BRANCH
        found = self.hub.find(name, revision)
        if found is None:
            return self.send(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Revision not found"})
        commit, files = found
        if listed:
            return self.send(200, {"Content-Type": "application/json"}, listing(name, commit, files, words), body)
        file = "/".join(words[4:])
        if file not in files:
            headers = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": commit}
            return self.send(404, headers)
        content = files[file]
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        return self.send(200, {"X-Repo-Commit": commit, "ETag": etag, "Accept-Ranges": "bytes"}, content, body)

    def send(self, status, headers, content=b"", body=True):
        self.send_response(status)
        for header, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(header, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def listing(name, commit, files, words):
    """What `/api/models/owner/name/tree/...` and `.../revision/...` answer, as far as the client reads it."""
    if "tree" in words:
        entries = [{"type": "file", "path": file, "size": len(content), "oid": "0" * 40} for file, content in files.items()]
        return json.dumps(entries).encode()
    siblings = [{"rfilename": file} for file in files]
    record = {"_id": "0", "id": name, "modelId": name, "sha": commit, "private": False, "siblings": siblings, "tags": []}
    return json.dumps(record).encode()
