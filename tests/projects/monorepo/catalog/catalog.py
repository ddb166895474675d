"""GET lists what is for sale, with its prices in the currency of the place."""

import json
import os
from pathlib import Path
from wsgiref.simple_server import make_server


def application(environ, start_response):
    items = json.loads(Path("/catalog/items.json").read_text())
    body = [{**item, "currency": os.environ["CURRENCY"]} for item in items]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


if __name__ == "__main__":
    make_server("", 8000, application).serve_forever()
