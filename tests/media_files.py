"""Small files of each type that a person may send, whole and broken."""

import struct
import zlib


def png(width: int = 40, height: int = 30, *, text: str = "", padding: int = 0, whole: bool = True) -> bytes:
    """A grey picture; `text` is in its tEXt chunk, where the sandbox's model sees it."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))]
    chunks += [(b"tEXt", b"Comment\0" + text.encode())] if text else []
    chunks += [(b"pAdd", bytes(padding))] if padding else []
    rows = b"".join(b"\0" + b"\x80" * width for _ in range(height)) if width * height < 10_000 else b"\0"
    chunks += [(b"IDAT", zlib.compress(rows))]
    chunks += [(b"IEND", b"")] if whole else []
    written = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def jpeg(width: int = 640, height: int = 480) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", 20) + bytes(18)
    size = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + exif + size + b"\xff\xd9"


def gif(width: int = 60, height: int = 60) -> bytes:
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0" + loop + b";"


def webp(kind: bytes = b"VP8X") -> bytes:
    """An animated one (VP8X), a lossless one (VP8L), or a plain one (VP8 with a space); 100 x 50."""
    body = {
        b"VP8X": b"\x02\0\0\0" + (99).to_bytes(3, "little") + (49).to_bytes(3, "little"),
        b"VP8L": b"\x2f" + struct.pack("<I", 99 | 49 << 14),
        b"VP8 ": b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 100, 50),
    }[kind]
    return b"RIFF" + struct.pack("<I", 4 + 8 + len(body)) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


def pdf(pages: int = 1, *, text: str = "Oi", extra: bytes = b"", whole: bool = True, packed: bool = False) -> bytes:
    """A document; `packed` hides its pages in a compressed stream of objects."""
    listed = b"".join(b"<</Type /Page /Parent 2 0 R>>\n" for _ in range(pages))
    if packed:
        listed = b"<</Type /ObjStm /N 2 /Filter /FlateDecode>> stream\n" + zlib.compress(listed) + b"\nendstream\n"
    body = b"%PDF-1.7\n" + listed + b"(" + text.encode() + b") Tj\n" + extra
    return body + (b"trailer <</Root 1 0 R>>\nstartxref\n0\n%%EOF\n" if whole else b"")


OGG = b"OggS\0\x02" + bytes(200) + b"OpusHead" + bytes(3_000)
