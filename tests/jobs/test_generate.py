import json

from command import nightjar

SMALL = ("--days", "1", "--rows-per-day", "100")


def test_a_log_has_the_ids_of_ad_logs_unless_another_preset_is_asked_for(tmp_path):
    for options, preset, num_users in (((), "ads", 300), (("--preset", "apps"), "apps", 50)):
        done = nightjar("generate", preset, *SMALL, *options, cwd=tmp_path)
        assert done.exit_code == 0
        truth = json.loads((tmp_path / preset / "truth.json").read_text())
        assert truth["preset"] == preset
        users = truth["days"][0]["ids"]["user_id"]
        assert num_users / 5 < users["values"] <= num_users
        (told,) = (line for line in done.stdout.splitlines() if "user_id" in line)
        in_words = f"user_id {users['values']} values, {users['seldom']:.0%} of them in fewer than ten rows"
        assert told.split() == in_words.split()


def test_a_preset_that_there_is_not_is_refused_before_anything_is_written(tmp_path):
    done = nightjar("generate", "logs", *SMALL, "--preset", "adds", cwd=tmp_path)
    assert done.exit_code == 2
    assert "'adds' is not one of 'ads', 'apps'" in " ".join(done.stderr.replace("│", " ").split())
    assert not list(tmp_path.iterdir())
