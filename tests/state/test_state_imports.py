"""Opening the state directory and listing it loads nothing that is slow to load."""

import json

SLOW = {
    "platformdirs",
    "psutil",
    "yaml",
    "ctypes",
    "shutil",
    "secrets",
    "tempfile",
    "jinja2",
    "python_on_whales",
}


def test_listing_loads_no_slow_library(tmp_path, start) -> None:
    script = """
import json
from pathlib import Path
import stackctl.state, stackctl.state.clock
from stackctl.state.home import open_home
from stackctl.state.layout import home_path
from stackctl.state.store import FileStore
store = FileStore(open_home(home_path(sys.argv[1], {})))
list(store.records())
print(json.dumps(sorted(sys.modules)))
"""
    output, _ = start(script, str(tmp_path / "home")).communicate(timeout=60)
    loaded = set(json.loads(output))
    assert "stackctl.state.store" in loaded
    assert loaded & SLOW == set()
