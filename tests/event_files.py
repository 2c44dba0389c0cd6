"""Recordings of event cameras, written byte by byte as their formats are specified."""

import struct

import numpy as np

EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("on", "u1"), ("pad", "V3")])
STREAM = (
    '<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/"><node name="0" path="/0/">'
    '<attr key="typeIdentifier" type="string">EVTS</attr><node name="info" path="/0/info/">'
    '<attr key="sizeX" type="int">{width}</attr>'
    '<attr key="sizeY" type="int">{height}</attr>'
    "</node></node></node></dv>"
)


def flatbuffer(identifier, field, payload):
    """A size-prefixed FlatBuffer whose table holds, in its `field`-th place, an offset to `payload`."""
    vtable = struct.pack("<HH", 6 + 2 * field, 8) + b"\0\0" * field + struct.pack("<H", 4)
    vtable = b"\0" * (-(8 + len(vtable)) % 4) + vtable
    table = 8 + len(vtable)
    # Elements of 8 bytes are to lie at a multiple of 8, their length before them, counting the size prefix.
    vector = table + 8 + (-(4 + table + 8 + 4) % 8)
    size = 6 + 2 * field
    body = struct.pack("<I", table) + identifier + vtable + struct.pack("<iI", size, vector - table - 4)
    body += b"\0" * (vector - len(body)) + payload
    return struct.pack("<I", len(body)) + body


def aedat4(events, width=128, height=128):
    """The bytes of a recording, uncompressed, in packets of 1,000 events."""
    xml = STREAM.format(width=width, height=height).encode()
    header = flatbuffer(b"IOHE", 2, struct.pack("<I", len(xml)) + xml + b"\0")
    content = b"#!AER-DAT4.0\r\n" + header
    for start in range(0, len(events), 1000):
        some = events[start : start + 1000]
        packet = flatbuffer(b"EVTS", 0, struct.pack("<I", len(some)) + some.tobytes())
        content += struct.pack("<ii", 0, len(packet)) + packet
    return content


def random_events(rng, count, width=128, height=128):
    """Events in the order of their times, at random pixels."""
    events = np.zeros(count, EVENT)
    events["t"] = np.sort(rng.integers(0, 10**6, count))
    events["x"], events["y"] = rng.integers(0, width, count), rng.integers(0, height, count)
    events["on"] = rng.integers(0, 2, count)
    return events


def nmnist(events):
    """Five bytes an event, big-endian: column, row, polarity (1 bit), time in microseconds (23 bits)."""
    table = np.zeros((len(events), 5), np.uint8)
    table[:, 0], table[:, 1] = events["x"], events["y"]
    table[:, 2] = events["on"] << 7 | events["t"] >> 16 & 0x7F
    table[:, 3], table[:, 4] = events["t"] >> 8 & 0xFF, events["t"] & 0xFF
    return table.tobytes()


def frames_of(events, timesteps, width, height, side):
    """Frames of equally many events, counted one by one; the sensor lies in the middle of a square."""
    frames = np.zeros((timesteps, 2, side, side), int)
    square, each = max(width, height), len(events) // timesteps
    for number, event in enumerate(events[: each * timesteps]):
        column = (int(event["x"]) + (square - width) // 2) * side // square
        row = (int(event["y"]) + (square - height) // 2) * side // square
        frames[number // each, int(event["on"]), row, column] += 1
    return frames
