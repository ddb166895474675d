"""POST /NAME puts a picture into the inbox, complete or not at all."""

from pathlib import Path
from wsgiref.simple_server import make_server


def application(environ, start_response):
    name = Path(environ["PATH_INFO"]).name
    if environ["REQUEST_METHOD"] == "POST" and name:
        half = Path("inbox", f".{name}.part")
        half.write_bytes(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        half.rename(Path("inbox", name))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"thank you\n"]


if __name__ == "__main__":
    make_server("", 8000, application).serve_forever()
