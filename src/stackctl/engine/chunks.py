"""Takes an answer in HTTP's chunks apart as it comes."""

from __future__ import annotations


class Chunks:
    """What has come of a chunked answer; feed it, and take the content.

    Attributes:
        ended: True once the last chunk was seen, or what came is no chunk.
    """

    def __init__(self) -> None:
        self.ended = False
        self._raw = b""

    def feed(self, data: bytes) -> bytes:
        """Take what arrived, and return the content of the chunks that are complete."""
        self._raw += data
        content = b""
        while not self.ended and b"\n" in self._raw:
            head, _, rest = self._raw.partition(b"\n")
            try:
                size = int(head.strip().partition(b";")[0], 16)
            except ValueError:
                size = 0  # not what a daemon sends: as good as an end
            if size <= 0:
                self.ended = True
            elif len(rest) < size + 2:
                break
            else:
                content += rest[:size]
                self._raw = rest[size + 2 :]
        return content

    def __len__(self) -> int:
        return len(self._raw)
