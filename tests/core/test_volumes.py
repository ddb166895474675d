"""Which volumes of an earlier project are a document's, and the document that uses them."""

from __future__ import annotations

import pytest

from stackctl.core.facts import Volume
from stackctl.core.volumes import earlier_volumes, own_volumes, project_word, with_volumes

DOCUMENT = {
    "services": {"db": {"image": "a"}},
    "volumes": {"data": None, "cache": {"labels": {"a": "b"}}, "theirs": {"external": True, "name": "x"}},
}


def volume(key: str, name: str) -> Volume:
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.volume": key}
    return Volume(name=name, labels=labels)


def test_only_what_compose_would_make_can_be_there_already() -> None:
    assert own_volumes(DOCUMENT) == ("data", "cache")
    assert own_volumes({}) == own_volumes({"volumes": None}) == ()
    found = [volume("data", "shop_data"), volume("theirs", "shop_theirs"), volume("other", "shop_other")]
    assert earlier_volumes(DOCUMENT, [*found, Volume(name="bare")]) == {"data": "shop_data"}


def test_a_volume_that_is_used_is_external_and_nothing_else_changes() -> None:
    used = with_volumes(DOCUMENT, {"data": "shop_data", "gone": "shop_gone"})
    assert used["volumes"] == {**DOCUMENT["volumes"], "data": {"external": True, "name": "shop_data"}}
    assert used["services"] == DOCUMENT["services"]
    assert DOCUMENT["volumes"]["data"] is None
    assert with_volumes(used, {"data": "shop_data"}) == used
    assert with_volumes({"services": {}}, {"data": "x"}) == {"services": {}}


@pytest.mark.parametrize("word", ["", "../x", "-x", "Shop", "a b", 7, None, "a" * 3 + "\n"])
def test_what_is_no_project_is_refused(word: object) -> None:
    with pytest.raises(ValueError, match="Compose project"):
        project_word(word)
