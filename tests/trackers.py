"""What trackers kept, read back: W&B's offline files by their format, MLflow's store by its own client."""

import json
import struct
from pathlib import Path

BLOCK = 32768
"""Bytes of a block of LevelDB's log format, in which W&B writes offline runs."""
HEAD = 7


def wandb_records(file: Path) -> list:
    """The records of one offline run, in order."""
    from wandb.proto import wandb_internal_pb2

    content = file.read_bytes()
    assert content[:4] == b":W&B"
    records, begun, at = [], b"", HEAD  # W&B's own head, which counts as a part of the first block
    while at + HEAD <= len(content):
        if BLOCK - at % BLOCK < HEAD:  # no record begins so near a block's end
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        begun += content[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(begun)
            records.append(record)
            begun = b""
    return records


def wandb_rows(folder: Path) -> list[dict]:
    """Every row that was logged to the offline runs in `folder`, in the order in which they were begun."""
    rows = []
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for record in wandb_records(file):
            if record.WhichOneof("record_type") == "history":
                rows.append({})
                for item in record.history.item:
                    *outer, key = item.nested_key or [item.key]
                    row = rows[-1]
                    for name in outer:
                        row = row.setdefault(name, {})
                    row[key] = json.loads(item.value_json)
    return rows


def wandb_run(folder: Path):
    """What the first offline run in `folder` says of itself."""
    file = min(folder.glob("wandb/offline-run-*/*.wandb"))
    return next(r.run for r in wandb_records(file) if r.WhichOneof("record_type") == "run")


def mlflow_client(store: Path):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{store}")


def mlflow_history(client, run: str, name: str) -> list[tuple[int, float]]:
    """The steps and values of a number, as they were logged."""
    return [(metric.step, metric.value) for metric in client.get_metric_history(run, name)]
