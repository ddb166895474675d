"""Accounts in SQLite: POST /accounts opens one, GET lists them."""

import json
import os
import sqlite3
from wsgiref.simple_server import make_server


def application(environ, start_response):
    with sqlite3.connect("/var/lib/accounts/accounts.db") as db:
        db.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, owner TEXT)")
        if environ["REQUEST_METHOD"] == "POST":
            owner = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
            db.execute("INSERT INTO accounts (owner) VALUES (?)", (owner,))
        rows = [
            {"id": key, "owner": owner} for key, owner in db.execute("SELECT * FROM accounts ORDER BY id")
        ]
    db.close()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"accounts": rows, "level": os.environ["LOG_LEVEL"]}).encode()]


if __name__ == "__main__":
    make_server("", 8000, application).serve_forever()
