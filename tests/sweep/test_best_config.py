from pipeline.sweep.best_config import as_yaml, to_train
from schemas.config import TrainConfig
from schemas.loading import load


def test_the_best_config_holds_wherever_it_lies(folder, monkeypatch):
    monkeypatch.chdir(folder)
    config = load(TrainConfig, folder / "train.yaml", ["mlflow.tracking_uri=sqlite:///runs.db"])
    text = as_yaml(config, "nightjar sweep --set 'a=\nb' --set u=http://me:secret@host")
    assert text.splitlines()[0] == "# nightjar sweep --set 'a= b' --set u=http://***@host"
    (folder / "deep").mkdir()
    (folder / "deep" / "best.yaml").write_text(text)
    monkeypatch.chdir("/")
    again = load(TrainConfig, folder / "deep" / "best.yaml")
    assert again.work_uri == f"{folder}/.nightjar"
    assert again.data.logs_uri == f"{folder}/logs"
    assert again.mlflow.tracking_uri == f"sqlite:///{folder}/runs.db"
    assert again.data.features == config.data.features
    assert again.stages == config.stages


def test_validation_rows_that_the_trained_config_goes_by_stay_what_they_are(folder):
    for key in ("stages.fnn.early_stop={}", "calibration=platt", "data.split.validation_dates=[2026-11-01]"):
        sets = [key, *(["data.validation_share=0"] if "dates" in key else [])]
        config = load(TrainConfig, folder / "train.yaml", sets)
        assert to_train(config) == config
