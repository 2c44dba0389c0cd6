"""The tables of a run that goes on under a newer version than it began with."""

import pandas as pd
import torch
from handmade import counted, info
from recording_twin import rng

from mpdviz.analysis import metrics
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position
from mpdviz.training.sinks.base import Recorded
from mpdviz.training.sinks.csv import Tables


def test_rows_of_an_older_version_keep_their_columns(tmp_path):
    layers = {1: counted(torch.randn(2, 3, 4, generator=rng()).numpy(), info(strict=True))}
    table, folder = metrics.main_columns(layers), RunFolder(tmp_path)
    older = table.drop(columns="fires")
    older.insert(0, "epoch", 1)
    older.insert(1, "step", 3)
    older.to_csv(folder.mpd, index=False)
    sink = Tables(folder, Position(epoch=1), done=3)
    sink.recorded(Recorded(2, 3, table, layers), 6)
    sink.flush()
    both = pd.read_csv(folder.mpd, keep_default_na=False)
    assert both["fires"].tolist() == ["", "", ">", ">"]
    assert both["epoch"].tolist() == [1, 1, 2, 2]
    for column in table.columns.drop("fires"):
        assert both[column].iloc[:2].tolist() == both[column].iloc[2:].tolist(), column
    assert both["mean"].iloc[2:].tolist() == table["mean"].tolist()
