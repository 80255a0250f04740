"""Voice notes that the speech double hears: Ogg Opus files whose tags say what is spoken in them."""

from typing import Any

import orjson

TAG = b"SPOKEN="
OPUS_RATE = 48_000


def voice_note(text: str, *, seconds: float = 3.0, confidence: float = 0.95, **spoken: Any) -> bytes:
    """Return a recording of `text`.

    `spoken` may have `unsure`, the words that are heard with a confidence of 0.2; `silence`, the probability of no
    speech; `language`, the name that the recogniser gives to it. A real recogniser hears nothing in it.
    """
    about = orjson.dumps({"text": text, "seconds": seconds, "confidence": confidence, **spoken})
    head = b"OpusHead\x01\x01" + (312).to_bytes(2, "little") + (16_000).to_bytes(4, "little") + bytes(3)
    comment = TAG + about
    tags = b"OpusTags" + (5).to_bytes(4, "little") + b"Prosa" + (1).to_bytes(4, "little")
    tags += len(comment).to_bytes(4, "little") + comment
    samples = int(seconds * OPUS_RATE)
    pages = ((2, 0, head), (0, 0, tags), (4, samples, bytes(80)))
    written = []
    for number, (kind, position, packet) in enumerate(pages):
        # An Ogg page of one packet of up to 65,024 bytes, without a checksum. Source: RFC 3533, section 6.
        lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
        fields = position.to_bytes(8, "little") + (1).to_bytes(4, "little") + number.to_bytes(4, "little") + bytes(4)
        written.append(b"OggS\0" + bytes([kind]) + fields + bytes([len(lacing)]) + lacing + packet)
    return b"".join(written)


def spoken_in(content: bytes) -> dict[str, Any]:
    """Return what `voice_note` put into a file, empty for any other."""
    start = content.find(TAG)
    if start < 0:
        return {}
    size = int.from_bytes(content[start - 4 : start], "little") - len(TAG)
    found: dict[str, Any] = orjson.loads(content[start + len(TAG) : start + len(TAG) + size])
    return found
