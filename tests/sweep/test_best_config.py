from pipeline.sweep.best_config import as_yaml
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
