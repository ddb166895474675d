"""How many readings there are of each sensor, and the last one."""

import json
from pathlib import Path
from wsgiref.simple_server import make_server


def application(environ, start_response):
    last = {}
    for line in Path("/readings/all.txt").read_text().splitlines():
        sensor, _, number = line.partition(" ")
        last.setdefault(sensor, []).append(int(number))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(last).encode()]


if __name__ == "__main__":
    make_server("", 9100, application).serve_forever()
