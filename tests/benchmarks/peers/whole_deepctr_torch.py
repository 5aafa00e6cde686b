"""DeepCTR-Torch from Parquet files to saved weights, as its examples do: scikit-learn's encoders over pandas' frames.

Its examples encode the rows of all days together, and know no least count of a value.
"""

import numpy as np
import pandas as pd
import torch
from deepctr_torch.inputs import DenseFeat, SparseFeat
from deepctr_torch.models import DeepFM
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import LabelEncoder, MinMaxScaler
from whole_task import Stopwatch, WholeTask


def main() -> None:
    watch = Stopwatch()
    torch.set_num_threads(1)
    task, folder = WholeTask.from_arguments()
    names = [*task.categorical, *task.numeric]
    files = [*task.training_files, *task.held_out_files]
    frames = [pd.read_parquet(file, columns=[*names, "click"]) for file in files]
    num_held_out = sum(map(len, frames[len(task.training_files) :]))
    data = pd.concat(frames, ignore_index=True)
    data[task.numeric] = data[task.numeric].fillna(0)
    for name in task.categorical:
        column = data[name]
        data[name] = LabelEncoder().fit_transform(column.fillna("-1") if task.is_text(name) else column.fillna(-1))
    if task.numeric:
        data[task.numeric] = MinMaxScaler(feature_range=(0, 1)).fit_transform(data[task.numeric])
    watch.mark("preprocess")
    fields = [
        SparseFeat(name, vocabulary_size=data[name].max() + 1, embedding_dim=task.dimension)
        for name in task.categorical
    ]
    fields += [DenseFeat(name, 1) for name in task.numeric]
    train, held_out = data.iloc[:-num_held_out], data.iloc[-num_held_out:]
    model = DeepFM(fields, fields, dnn_hidden_units=task.hidden, l2_reg_linear=0, l2_reg_embedding=0)
    model.compile("adam", "binary_crossentropy")
    x = {name: train[name].to_numpy() for name in names}
    with torch.autocast("cpu", torch.bfloat16, enabled=task.autocast):
        model.fit(x, train["click"].to_numpy(np.float32), batch_size=task.batch_size, epochs=1, verbose=0)
    saved = folder / "model.pt"
    torch.save(model.state_dict(), saved)
    watch.mark("fit")
    scores = model.predict({name: held_out[name].to_numpy() for name in names}, task.batch_size).ravel()
    clicks = held_out["click"].to_numpy()
    watch.answer({"AUC": roc_auc_score(clicks, scores), "logloss": log_loss(clicks, scores)}, saved)


if __name__ == "__main__":
    main()
